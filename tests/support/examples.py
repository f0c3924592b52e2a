"""Running the clients of examples/ and reading what they print."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from support.paths import ROOT

EXAMPLES = ROOT / "examples"
SAID = "Meu irmão gosta de jogar futebol no parque."


def output_of(*command: str | Path, code: int = 0) -> str:
    """What a command prints; it must end with that exit code."""
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def heard(printed: str) -> str:
    """The transcript, as JSON, Python and Node print it."""
    found = re.search(r"""["']?transcript["']?: ?["'](.+?)["'],""", printed)
    assert found, printed
    return found[1]


def socket_of(url: str) -> str:
    return url.replace("http", "ws", 1)
