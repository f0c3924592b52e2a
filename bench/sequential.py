"""The plain way in a process of its own, with the settings that are best for it alone.

One model at a time has both cores: the LLM writes with two threads, and each library waits as it
does by itself, spinning for a moment. Measured over six turns: 5.4 s, against 6.1 s with the server's
settings (one thread, no spinning), 7.1 s with two threads that do not spin, 14.6 s where OpenMP spins
without end.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil


class Sequential:
    """Asks the other process for one turn after the other."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._pipes = process
        self._process = psutil.Process(process.pid)
        self._process.suspend()

    async def turn(self, recording: bytes) -> float:
        """Seconds until the answer can be heard: when all of it is spoken."""
        self._process.resume()
        try:
            return await asyncio.to_thread(self._ask, recording)
        finally:
            self._process.suspend()  # its threads spin for a while after a turn as well

    def _ask(self, recording: bytes) -> float:
        assert self._pipes.stdin is not None
        assert self._pipes.stdout is not None
        self._pipes.stdin.write(b"%d\n" % len(recording) + recording)
        self._pipes.stdin.flush()
        return float(self._pipes.stdout.readline())


@contextmanager
def started(llm_settings: dict[str, Any]) -> Iterator[Sequential]:
    """The process, its models loaded; it ends with the block."""
    command = [sys.executable, "-m", "bench.sequential", json.dumps(llm_settings)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield Sequential(process)
    finally:
        process.kill()
        process.wait()


async def _turns(llm_settings: dict[str, Any]) -> None:
    import serve_app.engines  # noqa: F401

    # Its choice for the server is taken back before any library reads it: the imports below load some.
    os.environ.pop("OMP_WAIT_POLICY", None)
    from . import inprocess

    way = inprocess.OneAfterTheOther(await inprocess.stages(llm_settings, decode_threads=2))
    print("ready", flush=True)
    while length := sys.stdin.buffer.readline():
        print(await way.turn(sys.stdin.buffer.read(int(length))), flush=True)


if __name__ == "__main__":
    asyncio.run(_turns(json.loads(sys.argv[1])))
