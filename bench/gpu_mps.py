"""NVIDIA's MPS for a measurement: the control daemon in a folder of its own, and what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"


def at_hand() -> bool:
    return shutil.which(CONTROL) is not None


class Mps:
    """A running daemon; `environment` makes a process its client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: Mapping[str, str] = {
            "CUDA_MPS_PIPE_DIRECTORY": str(folder / "pipe"),
            "CUDA_MPS_LOG_DIRECTORY": str(folder / "log"),
        }

    def start(self) -> None:
        for name in ("pipe", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        subprocess.run([CONTROL, "-d"], env={**os.environ, **self.environment}, check=True, timeout=20)

    def ask(self, command: str, limit_s: float = 15.0) -> str:
        """The daemon's answer, or why there is none."""
        try:
            done = subprocess.run(
                [CONTROL],
                input=command + "\n",
                env={**os.environ, **self.environment},
                capture_output=True,
                text=True,
                timeout=limit_s,
            )
        except subprocess.TimeoutExpired:
            return f"no answer in {limit_s:g} s"
        return (done.stdout + done.stderr).strip()

    def server(self) -> str:
        """The process id of the server, empty if it has none."""
        return next((line for line in self.ask("get_server_list").splitlines() if line.strip().isdigit()), "")

    def stop(self) -> None:
        self.ask("quit -t 2")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and (self.folder / "pipe/nvidia-cuda-mps-control.pid").exists():
            time.sleep(0.1)

    def log(self, lines: int = 25) -> list[str]:
        """The end of the server's log."""
        found = self.folder / "log/server.log"
        return found.read_text("utf-8", "replace").splitlines()[-lines:] if found.is_file() else []


@contextmanager
def mps() -> Iterator[Mps]:
    """A daemon until the block is left."""
    with tempfile.TemporaryDirectory(prefix="mps") as folder:
        running = Mps(Path(folder))
        running.start()
        try:
            yield running
        finally:
            running.stop()
