"""Modal's own proxy before a port of this machine: `python modal_proxy.py UPSTREAM_PORT PORT`.

A process of its own, because it does not end: after a response it asks for the client's end without a pause.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from modal._runtime.asgi import web_server_proxy

HOST = "127.0.0.1"


@contextmanager
def proxying(upstream_port: int, port: int) -> Iterator[str]:
    """The proxy's address, as long as the block runs."""
    process = subprocess.Popen([sys.executable, __file__, str(upstream_port), str(port)])
    try:
        with httpx.Client(base_url=f"http://{HOST}:{port}", transport=httpx.HTTPTransport(retries=6)) as client:
            client.get("/healthz").raise_for_status()
        yield f"http://{HOST}:{port}"
    finally:
        process.kill()
        process.wait()


def main(upstream_port: str, port: str) -> None:
    forward = web_server_proxy(HOST, int(upstream_port))
    uvicorn.run(forward, host=HOST, port=int(port), log_level="warning", lifespan="on")


if __name__ == "__main__":
    main(*sys.argv[1:])
