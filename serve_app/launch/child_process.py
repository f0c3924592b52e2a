"""`parle serve` as a child process: for a container's entry point, a benchmark, a test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import httpx
import psutil

from serve_app import client
from serve_app.access.tokens import own_headers, share_secret
from serve_app.config.store import URL_VARIABLE
from serve_app.errors import StackError
from serve_app.package_data import data_file

GREETING = data_file("greeting.ogg")
"""A short Portuguese utterance, spoken by Kokoro's pf_dora."""
POLL_S = 0.2
READY_S = 240.0
STOP_S = 45.0
"""Running turns may take `limits.stop_s`, and Ray 8 to 12 s to stop."""
LOG_TAIL = 6000
"""Characters of a server's output that are shown when it does not become ready."""

Server = subprocess.Popen[bytes]


def command(stack: Path, *options: str) -> list[str]:
    """`parle serve STACK` of this environment."""
    return [str(Path(sys.executable).with_name("parle")), "serve", str(stack), *options]


def start(stack: Path, *options: str, host: str, port: int, output: IO[bytes] | None = None, store: str = "") -> Server:
    """Start the server in a session of its own. It writes to `output`, by default where this process writes.

    `store` is where it keeps conversations, unless PARLE_STORE_URL is set.
    """
    share_secret()
    environment = {**os.environ, "HOST": host, "PORT": str(port), "RAY_USAGE_STATS_ENABLED": "0"}
    if store:
        environment.setdefault(URL_VARIABLE, store)
    environment.pop("RAY_ADDRESS", None)
    return subprocess.Popen(
        command(stack, *options),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


@contextmanager
def serving(
    stack: Path, log: Path, *options: str, port: int | None = None, ready_s: float = READY_S, stop_s: float = STOP_S
) -> Iterator[tuple[Server, str]]:
    """A server that is ready and its URL, on `port` or a free one; stopped when the block is left.

    Unless PARLE_STORE_URL says otherwise it keeps its conversations beside `log`.

    Raises:
        StackError: it is not ready in time; the end of `log`, its output, is attached as a note.
    """
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    kept = f"sqlite:///{log.resolve().with_suffix('.sqlite3')}"
    with log.open("wb") as output:
        server = start(stack, *options, host="127.0.0.1", port=port, output=output, store=kept)
    try:
        try:
            await_ready(server, url, ready_s)
        except StackError as error:
            error.add_note(log.read_text("utf-8", "replace")[-LOG_TAIL:])
            raise
        yield server, url
    finally:
        stop(server, stop_s)


def await_ready(server: Server, url: str, timeout_s: float) -> None:
    """Wait until every stage can serve.

    Raises:
        StackError: the server has ended (its output says why), or is not ready in time.
    """

    with httpx.Client(timeout=10, limits=httpx.Limits(max_keepalive_connections=0)) as client:

        def ready() -> bool:
            with suppress(httpx.HTTPError):
                return client.get(f"{url}/readyz").status_code == 200
            return False

        await_that(server, ready, timeout_s)


def await_that(server: Server, ready: Callable[[], bool], timeout_s: float) -> None:
    """Wait until `ready()` says that the server is.

    Raises:
        StackError: the server has ended (its output says why), or is not ready in time.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise StackError(f"the server ended with exit code {server.returncode} before it was ready; see its output")
        if ready():
            return
        time.sleep(POLL_S)
    raise StackError(f"the server was not ready within {timeout_s:.0f} s; see its output")


def warm_up(url: str) -> int:
    """Run one whole turn, so that the first learner finds every stage warm; returns its milliseconds.

    Raises:
        ParleError: the turn failed.
    """
    last = None
    session = f"warm-up-{uuid.uuid4().hex}"
    for last in client.over_sse(url, GREETING, {"session_id": session, "order": "eager"}, own_headers()):
        if last.name == "error":
            raise StackError(f"the warm-up turn failed: {last.data['message']}")
    if last is None or last.name != "complete":
        raise StackError("the warm-up turn was cut off")
    with suppress(httpx.HTTPError):  # it would expire, too
        httpx.delete(f"{url}/api/sessions/{session}", headers=own_headers(), timeout=10)
    return last.ms


def outlive(server: Server, stopping: threading.Event) -> None:
    """End this process when the server ends unasked: a container must not accept requests without a server."""
    code = server.wait()
    if not stopping.is_set():
        os._exit(code or 1)


def stop(server: Server, timeout_s: float = STOP_S) -> None:
    """Interrupt the server as Ctrl-C does, and kill what is left of it and its children after `timeout_s`."""
    family: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(server.pid)
        family = [process, *process.children(recursive=True)]
    server.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        server.wait(timeout_s)
    for member in family:  # psutil knows each by its start time too, so no stranger with the same id is killed
        with suppress(psutil.NoSuchProcess):
            member.kill()
    server.wait()


def free_port() -> int:
    """A TCP port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
