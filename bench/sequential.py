"""The plain way in a process of its own, with the settings that are best for it alone.

One model at a time has both cores: the LLM writes with two threads that wait for each other by
spinning, half as fast again as the way that leaves a core to the voice.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import psutil

from . import inprocess


class Sequential:
    """Asks the other process for one turn after the other."""

    def __init__(self, connection: Connection, pid: int) -> None:
        self._connection = connection
        self._process = psutil.Process(pid)
        self._process.suspend()

    async def turn(self, recording: bytes) -> float:
        """Seconds until the answer can be heard: when all of it is spoken."""
        self._process.resume()
        try:
            self._connection.send(recording)
            return await asyncio.to_thread(self._connection.recv)
        finally:
            self._process.suspend()  # its threads spin between two turns as well


@contextmanager
def started(llm_settings: dict[str, Any]) -> Iterator[Sequential]:
    """The process, its models loaded; it ends with the block."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    before = os.environ.get("OMP_WAIT_POLICY")
    os.environ["OMP_WAIT_POLICY"] = "active"
    process = spawn.Process(target=_serve, args=(theirs, llm_settings), daemon=True)
    process.start()
    if before is None:
        del os.environ["OMP_WAIT_POLICY"]
    else:
        os.environ["OMP_WAIT_POLICY"] = before
    try:
        assert ours.recv() == "ready"
        yield Sequential(ours, process.pid or 0)
    finally:
        process.kill()


def _serve(connection: Connection, llm_settings: dict[str, Any]) -> None:
    asyncio.run(_turns(connection, llm_settings))


async def _turns(connection: Connection, llm_settings: dict[str, Any]) -> None:
    stages = await inprocess.stages(llm_settings, decode_threads=2)
    way = inprocess.OneAfterTheOther(stages)
    connection.send("ready")
    while True:
        connection.send(await way.turn(connection.recv()))
