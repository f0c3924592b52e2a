"""The voices a client may choose from: asked of the TTS stage once for all who want to know, and remembered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from serve_app.errors import unknown_voice

AGAIN_S = 10.0
"""A name that is not among the known voices is looked up again after this time: a replica may have started with more.
Until then it is refused at once, so that wrong names cost the stage and the places for turns nothing."""


class Voices:
    """Remembers what `ask` answered last; `ask` must have a time limit."""

    def __init__(self, ask: Callable[[], Awaitable[list[str]]], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._known: list[str] = []
        self._known_at = 0.0
        self._asking: asyncio.Task[list[str]] | None = None

    def knows(self, voice: str | None) -> bool:
        """Whether `check` allows it without asking the stage; None is the stack's default."""
        return voice is None or voice in self._known

    async def check(self, voice: str | None) -> None:
        """Refuse a voice that the stack does not have.

        Raises:
            InvalidField: it has no such voice.
            ParleError: the stage did not say which voices it has.
        """
        if self.knows(voice):
            return
        if not self._known or self._clock() - self._known_at >= AGAIN_S:
            await self.all()
        if voice is not None and voice not in self._known:
            raise unknown_voice(voice, self._known)

    async def all(self) -> list[str]:
        """All voices as the stage has them now.

        Raises:
            ParleError: it did not say.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._learn(), name="voices")
        return await asyncio.shield(self._asking)  # one who leaves does not take the answer from the others

    async def _learn(self) -> list[str]:
        self._known = await self._ask()
        self._known_at = self._clock()
        return self._known
