"""A real `parle serve` in a process of its own, for tests that come in by the front door."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from serve_app.launch import child_process
from support.engine_work import EngineWork
from support.waiting import wait_for

START_TIMEOUT_S = 240
STOP_TIMEOUT_S = 40


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready. `log` is what it wrote to its terminal."""

    url: str
    process: psutil.Process
    log: Path
    home: psutil.Process
    """The process below which the replicas run: the server's own, or that of the cluster it joined."""
    engines: EngineWork

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=60)

    def info(self) -> dict[str, Any]:
        return self.get("/api/info").raise_for_status().json()

    def work(self) -> dict[str, int]:
        """What the engines have done since their start."""
        return self.engines.ask()

    def wait_until_idle(self, seconds: float = 30) -> None:
        """Until no turn runs; raises when one is still there after that time."""
        wait_for(lambda: self.info()["turns"] == 0, seconds, "the end of all turns")

    def wait_until_ready(self, seconds: float = 120) -> None:
        wait_for(lambda: self.get("/readyz").status_code == 200, seconds, "all stages to be ready")

    def replica(self, deployment: str) -> psutil.Process:
        """The process of that deployment's only replica."""
        [found] = self._replicas(deployment)
        return found

    def replica_ids(self, deployment: str) -> set[int]:
        return {process.pid for process in self._replicas(deployment)}

    def _replicas(self, deployment: str) -> list[psutil.Process]:
        title = f"ray::ServeReplica:parle:{deployment}"
        return [process for process in family(self.home) if _title(process).startswith(title)]


def family(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [process, *process.children(recursive=True)]
    return []


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@contextlib.contextmanager
def serving(stack: Path, log: Path, *options: str, port: int | None = None) -> Iterator[Server]:
    """`parle serve STACK` until the block is left; then nothing of it is left. Without a `port` on a free one."""
    port = port or free_port()
    with log.open("wb") as terminal:
        started = child_process.start(stack, *options, host="127.0.0.1", port=port, output=terminal)
    process = psutil.Process(started.pid)
    home = psutil.Process() if "--address" in options else process
    engines = EngineWork(home)
    try:
        server = Server(f"http://127.0.0.1:{port}", process, log, home, engines)
        _wait_until_up(server, started)
        yield server
    finally:
        engines.close()
        _stop(started, family(process))


def _wait_until_up(server: Server, started: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and started.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if server.get("/readyz").status_code == 200:
                return
        time.sleep(0.2)
    text = server.log.read_text("utf-8", "replace")[-6000:]
    raise AssertionError(f"the server did not become ready (exit code {started.poll()}):\n{text}")


def _stop(started: subprocess.Popen[bytes], members: list[psutil.Process]) -> None:
    started.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        started.wait(STOP_TIMEOUT_S)
    for member in members:  # each is known by its start time too, so no stranger is hit
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    started.wait(10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
