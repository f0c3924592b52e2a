"""The command `parle`: in this process where one line is all there is to see, as a program of its own for the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from unittest.mock import patch

import pytest

from serve_app.cli.main import main
from support.paths import CONFIGS, ROOT
from support.servers import free_port

BIN = Path(sys.executable).parent
OURS = ("HOST", "PORT", "METRICS_PORT", "RAY_ADDRESS")


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what the command reads from it."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS}
    return {**kept, "RAY_USAGE_STATS_ENABLED": "0", **more}


def run(command: str, *args: str | Path, timeout: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
    """A command of this environment, as a program."""
    return subprocess.run(
        [BIN / command, *args], env=environment(**more), cwd=ROOT, capture_output=True, text=True, timeout=timeout
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Parle:
    """The console script's function, called in this process: the same lines and exit codes, and no start of Python."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *args: str | Path, **more: str) -> Ended:
        self._capsys.readouterr()
        program = ["parle", *map(str, args)]
        with (
            patch.dict(os.environ, environment(**more), clear=True),
            patch.object(sys, "argv", program),
            patch.object(sys.modules["__main__"], "__package__", None),  # click tells a program's name by it
            patch.object(os, "_exit", _leave),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        assert isinstance(ended.value.code, int)
        printed = self._capsys.readouterr()
        return Ended(ended.value.code, printed.out, printed.err)


def _leave(code: int) -> NoReturn:
    raise SystemExit(code)


def only_line(ended: Ended | subprocess.CompletedProcess[str], code: int) -> str:
    """The one line on stderr of a command that failed."""
    assert ended.returncode == code, ended
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("parle: ")
    return lines[0]


def edited(tmp_path: Path, name: str, *changes: tuple[str, str]) -> Path:
    """A copy of one of our stacks, on a free port."""
    text = (CONFIGS / name).read_text("utf-8").replace("port: 8000", f"port: {free_port()}")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / name
    file.write_text(text, "utf-8")
    return file
