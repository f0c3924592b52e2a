"""Modal's own proxy before a port of this machine, for one request: `python modal_proxy.py UPSTREAM_PORT PORT`.

A process of its own, because it does not end: after a response it asks for the client's end without a pause.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from modal._runtime.asgi import web_server_proxy

from support.paths import ROOT
from support.waiting import wait_for

HOST = "127.0.0.1"
TESTS = ROOT / "tests"


@contextmanager
def proxying(upstream_port: int, port: int) -> Iterator[str]:
    """The proxy's address, as long as the block runs."""
    process = subprocess.Popen([sys.executable, "-m", "support.modal_proxy", str(upstream_port), str(port)], cwd=TESTS)
    try:
        wait_for(lambda: _listens(port), 30, "Modal's proxy")
        yield f"http://{HOST}:{port}"
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def main(upstream_port: str, port: str) -> None:
    forward = web_server_proxy(HOST, int(upstream_port))
    uvicorn.run(forward, host=HOST, port=int(port), log_level="warning", lifespan="on")


if __name__ == "__main__":
    main(*sys.argv[1:])
