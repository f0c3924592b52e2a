"""Write the tables of `docs/memory.md`: each stack on each card it is meant for.

python scripts/memory_table.py           rewrite what stands between the markers
python scripts/memory_table.py --check   exit code 1 where that would change anything
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from serve_app.config import lint
from serve_app.gpu.budget import gib
from serve_app.gpu.card_plan import COLUMNS, plan
from serve_app.gpu.cards import named

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "memory.md"
BEGIN, END = "<!-- tables -->", "<!-- /tables -->"

MEANT_FOR = {
    "configs/modal_stack.yaml": ("L4", "A10G", "A100-40GB", "A100-80GB", "H100"),
    "configs/local_stack.yaml": ("RTX 3090", "RTX 4090"),
}


def written(document: str) -> str:
    """The document with its tables as the stacks' files and the catalogues have it now."""
    before, rest = document.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n" + "\n".join(tables()) + f"\n{END}{after}"


def tables() -> Iterator[str]:
    """Markdown, line by line."""
    for file, names in MEANT_FOR.items():
        args = lint.read(ROOT / file).args
        yield f"## `{file}`"
        for name in names:
            made = plan(args, named(name))
            verdict = made.error() or f"fits, {gib(made.unshared)} GiB unallocated"
            yield f"\n{name}, {gib(made.card.usable_bytes)} GiB usable: {verdict}\n"
            yield f"| {' | '.join(COLUMNS)} |"
            yield "|" + " --- |" * 2 + " ---: |" * (len(COLUMNS) - 2)
            for line in made.table():
                yield f"| {' | '.join(line)} |"
        yield ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check: bool = parser.parse_args().check
    old = DOCUMENT.read_text("utf-8")
    new = written(old)
    if old == new:
        return 0
    if check:
        print(f"{DOCUMENT} is out of date: python scripts/memory_table.py", file=sys.stderr)
        return 1
    DOCUMENT.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
