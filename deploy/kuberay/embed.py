"""Print rayservice.yaml with a stack file as its serveConfigV2.

python deploy/kuberay/embed.py configs/cluster_stack.yaml | kubectl apply -f -
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

MANIFEST = Path(__file__).with_name("rayservice.yaml")
BEGIN = "  serveConfigV2: |\n"
END = "  rayClusterConfig:\n"


def embed(manifest: str, stack: str) -> str:
    """The manifest with `stack` in place of the serveConfigV2 it has."""
    head, _, rest = manifest.partition(BEGIN)
    _, _, tail = rest.partition(END)
    # A pod is reached from outside of it.
    stack = stack.replace("\n  host: 127.0.0.1\n", "\n  host: 0.0.0.0\n")
    if not tail:
        raise ValueError(f"no '{BEGIN.strip()}' followed by '{END.strip()}' in the manifest")
    return head + BEGIN + textwrap.indent(stack.rstrip("\n") + "\n", "    ") + END + tail


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} STACK.yaml")
    sys.stdout.write(embed(MANIFEST.read_text("utf-8"), Path(sys.argv[1]).read_text("utf-8")))
