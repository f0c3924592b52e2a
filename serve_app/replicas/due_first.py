"""The order in which pieces of speech are made: first for whom there is nothing left to hear."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

LONGEST_SLACK_S = 5.0
"""A piece counts as due after this long at the latest, so that it is not passed over without end."""


class DueFirst:
    """Admits one piece at a time; of those that wait, the one that is due first, and of equals the one that came first.

    `by_due` False admits them as they came.
    """

    def __init__(self) -> None:
        self.by_due = True
        self._busy = False
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    @asynccontextmanager
    async def turn(self, slack_s: float) -> AsyncGenerator[None, None]:
        """The block is entered when it is this piece's turn; its listener has something to hear for `slack_s` yet."""
        if self._busy:
            await self._wait(time.monotonic() + min(max(0.0, slack_s), LONGEST_SLACK_S) if self.by_due else 0.0)
        self._busy = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, due: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (due, next(self._numbers), woken))
        try:
            await woken
        except asyncio.CancelledError:
            if woken.done() and not woken.cancelled():  # it was its turn in the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            _, _, woken = heapq.heappop(self._waiting)
            if not woken.done():
                woken.set_result(None)  # it stays busy meanwhile, so that nobody comes between
                return
        self._busy = False
