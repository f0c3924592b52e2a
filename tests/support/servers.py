"""A real `parle serve` in a process of its own, for tests over its public API."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from serve_app.launch import child_process
from serve_app.launch.child_process import free_port
from support.engine_work import EngineWork
from support.waiting import wait_for

STOP_TIMEOUT_S = 40

__all__ = ["Server", "family", "free_port", "serving"]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready. `log` is the file with its terminal output."""

    url: str
    process: psutil.Process
    log: Path
    home: psutil.Process
    """The process below which the replicas run: the server's own, or that of the cluster it joined."""
    engines: EngineWork
    http: httpx.Client
    """Kept, since a new client costs 30 ms of a core and tests look often."""

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)

    def info(self) -> dict[str, Any]:
        return self.get("/api/info").raise_for_status().json()

    def work(self) -> dict[str, int]:
        """Units of work that the engines have done since their start."""
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


def _client(url: str) -> httpx.Client:
    """Without connections that outlive a request: what serves the next one may be another process."""
    return httpx.Client(base_url=url, timeout=60, limits=httpx.Limits(max_keepalive_connections=0))


@contextlib.contextmanager
def serving(stack: Path, log: Path, *options: str, port: int | None = None) -> Iterator[Server]:
    """`parle serve STACK` until the block is left, on `port` or a free one; then none of its processes is left."""
    with child_process.serving(stack, log, *options, port=port, stop_s=STOP_TIMEOUT_S) as (started, url):
        process = psutil.Process(started.pid)
        home = psutil.Process() if "--address" in options else process
        with contextlib.closing(EngineWork(home)) as engines, _client(url) as http:
            yield Server(url, process, log, home, engines, http)
