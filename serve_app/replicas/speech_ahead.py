"""Makes the sounds of the replies' openings before they are needed, while the voice has nothing else to say."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager

from serve_app.errors import ParleError
from serve_app.protocols import Audio
from serve_app.replicas.kept_speech import KeptSpeech

logger = logging.getLogger("ray.serve")

QUIET_S = 3.0
"""So long nobody must have wanted the voice: within a turn the next piece comes sooner."""

START_S = 20.0
"""The other stages load meanwhile."""

Make = Callable[[str, str, float], Awaitable[Audio]]
"""(text, voice, speed): its sound, shape [samples]."""


class SpeechAhead:
    """Fills `kept` one sound at a time; a turn that comes meanwhile waits for at most one."""

    def __init__(self, kept: KeptSpeech, make: Make, *, start_s: float = START_S, quiet_s: float = QUIET_S) -> None:
        self._kept = kept
        self._make = make
        self._start_s = start_s
        self._quiet_s = quiet_s
        self._in_use = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._used_at = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """While the block runs, and for a moment afterwards, nothing is made ahead."""
        self._in_use += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._in_use -= 1
            self._used_at = time.monotonic()
            if not self._in_use:
                self._idle.set()

    def begin(self, wanted: Iterable[tuple[str, float]], voice: str) -> None:
        """Make these (text, speed) in that voice, in their order, instead of what was begun before."""
        self.stop()
        self._task = asyncio.create_task(self._run(list(dict.fromkeys(wanted)), voice), name="speech-ahead")

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self, wanted: list[tuple[str, float]], voice: str) -> None:
        await asyncio.sleep(self._start_s)
        for text, speed in wanted:
            if await asyncio.to_thread(self._kept.find, text, voice, speed) is not None:
                continue
            await self._quiet()
            try:
                self._kept.keep(text, voice, speed, await self._make(text, voice, speed))
            except ParleError as error:
                logger.warning("no sound could be made ahead: %s", error.message)
                return

    async def _quiet(self) -> None:
        while True:
            await self._idle.wait()
            left = self._used_at + self._quiet_s - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(left)
