"""A server as a child process, for what starts one and waits for it: Modal's container, a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import httpx

from serve_app import client
from serve_app.errors import StackError
from serve_app.package_data import data_file

GREETING = data_file("greeting.ogg")
"""A short Portuguese utterance, spoken by Kokoro's pf_dora."""
POLL_S = 0.2
STOP_S = 25.0
"""Ray takes 8 to 12 s to stop."""


def command(stack: Path, *options: str) -> list[str]:
    """`parle serve STACK` of this environment."""
    return [str(Path(sys.executable).with_name("parle")), "serve", str(stack), *options]


def start(stack: Path, *options: str, host: str, port: int, output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Start the server, in a session of its own; `output` is where it writes, by default where this process does."""
    environment = {**os.environ, "HOST": host, "PORT": str(port), "RAY_USAGE_STATS_ENABLED": "0"}
    environment.pop("RAY_ADDRESS", None)
    return subprocess.Popen(
        command(stack, *options),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def await_ready(server: subprocess.Popen[bytes], url: str, timeout_s: float) -> None:
    """Until every stage can serve.

    Raises:
        StackError: the server has ended (it has said why), or is not ready in time.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise StackError(f"the server ended with exit code {server.returncode} before it was ready; see its output")
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/readyz", timeout=10).status_code == 200:
                return
        time.sleep(POLL_S)
    raise StackError(f"the server at {url} was not ready within {timeout_s:.0f} s; see its output")


def warm_up(url: str) -> int:
    """Speak one whole turn, so that the first learner finds every stage primed; milliseconds it took.

    Raises:
        ParleError: the turn did not come to its end.
    """
    last = None
    for last in client.over_sse(url, GREETING, {"session_id": "warm-up", "order": "eager"}):
        if last.name == "error":
            raise StackError(f"the warm-up turn failed: {last.data['message']}")
    if last is None or last.name != "complete":
        raise StackError("the warm-up turn was cut off")
    return last.ms


def outlive(server: subprocess.Popen[bytes], stopping: threading.Event) -> None:
    """End this process when the server ends by itself: a container without a server would take requests for ever."""
    code = server.wait()
    if not stopping.is_set():
        os._exit(code or 1)


def stop(server: subprocess.Popen[bytes], timeout_s: float = STOP_S) -> None:
    """Interrupt the server as Ctrl-C does; kill it where it has not ended in time."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(timeout_s)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
