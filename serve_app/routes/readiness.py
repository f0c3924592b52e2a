"""Whether each stage can serve, however many ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

KEPT_S = 1.0
"""How long an answer holds."""


class Readiness:
    """Asks the stages once for all who want to know at that time; the answer holds for a second.

    If each of 150 probes asked every stage, the answers would come too late to count.
    """

    def __init__(self, ask: Callable[[], Awaitable[dict[str, bool]]], clock: Callable[[], float] = time.monotonic):
        self._ask = ask
        self._clock = clock
        self._asking: asyncio.Task[dict[str, bool]] | None = None
        self._answered_at = 0.0

    async def stages(self) -> dict[str, bool]:
        """Per stage, whether it can serve."""
        asking = self._asking
        if asking is None or (asking.done() and self._clock() - self._answered_at >= KEPT_S):
            asking = self._asking = asyncio.create_task(self._answer(), name="readiness")
        return await asyncio.shield(asking)  # one who leaves does not take the answer from the others

    async def _answer(self) -> dict[str, bool]:
        try:
            return await self._ask()
        finally:
            self._answered_at = self._clock()
