"""How an ingress ends: running turns may finish, within a limit, and every client is told.

It begins when the operator stops the server, and when Serve replaces this replica by another one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from typing import Protocol

from serve_app.errors import ParleError, Stopping
from serve_app.lesson.kept import ConversationStore
from serve_app.routes.places import Places
from serve_app.routes.presence import BACK_S, Presence

logger = logging.getLogger("ray.serve")

CUT = "The server stops or is being restarted; please say that again in a moment."
LOOK_S = 0.05
TOLD_S = 2.0
"""Longest time for the last events of turns that were cut."""
STORE_S = 2.5
"""Longest time for the store to write what waits."""


class Cuttable(Protocol):
    """Work for a client that the stop may have to end."""

    def cut(self, why: ParleError) -> None:
        """End it now, with this error."""
        ...


class GracefulStop:
    """The stop of one ingress replica, which begins when this is made."""

    def __init__(
        self,
        presence: Presence,
        places: Places,
        running: Collection[Cuttable],
        store: ConversationStore,
        within_s: float,
    ) -> None:
        self._presence = presence
        self._places = places
        self._running = running
        self._store = store
        self._until = time.monotonic() + within_s
        self._task = asyncio.create_task(self._end(within_s), name="graceful stop")

    @property
    def left_s(self) -> float:
        """How long turns may still run."""
        return max(0.0, self._until - time.monotonic())

    @property
    def done(self) -> bool:
        """Whether no turn runs, no connection is open and all is written, as far as it could be brought about."""
        return self._task.done()

    async def _end(self, within_s: float) -> None:
        turns = self._presence.turns
        logger.info("stopping: %d turns running, at most %g s", turns, within_s)
        self._places.refuse(Stopping(CUT, retry_after_s=BACK_S))
        await self._presence.leave(within_s)
        if not await self._ended_by(self._until):
            logger.warning("stopping: %d turns are cut after %g s", self._presence.turns, within_s)
            for work in tuple(self._running):
                work.cut(Stopping(CUT, retry_after_s=BACK_S))
            await self._ended_by(time.monotonic() + TOLD_S)
        await self._presence.dismiss(idle=False)
        logger.info("stopping: no turn is running any more")
        await self._close_store()

    async def _close_store(self) -> None:
        """What was said is written, and the conversations are free for other replicas."""
        try:
            async with asyncio.timeout(STORE_S):
                await self._store.close()
        except TimeoutError:
            logger.error("stopping: the store could not be closed within %g s", STORE_S)

    async def _ended_by(self, deadline: float) -> bool:
        """Wait for the end of all turns; whether it came in time."""
        await self._presence.dismiss(idle=True)
        while self._presence.busy and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_S)
            await self._presence.dismiss(idle=True)
        return not self._presence.busy
