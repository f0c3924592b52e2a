"""Who is here: turns in flight, open connections, and how long ago anybody gave a sign of life.

On a rented machine that is what a stop waits for. The stop has two steps, both taken in the ingress, so that
no turn can slip between them: `warn` tells those connected, and whatever a client does then calls the stop
off; `close` shuts the door for good, but only if nobody did anything.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from serve_app.errors import Stopping

logger = logging.getLogger("ray.serve")

TELL_S = 2.0
"""What one client may take to be told; one whose network is gone must not hold up the others."""
GOING_AWAY = 1001
RETRY_AFTER_S = 60
STAYS = "The server stays."


class Guest(Protocol):
    """An open connection."""

    async def tell(self, message: str) -> None: ...

    async def dismiss(self, code: int, reason: str) -> None: ...


class Presence:
    """Of one ingress replica. Everything here runs on its event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guests: set[Guest] = set()
        self._last_sign = clock()
        self._stop_at: float | None = None  # of a stop that was announced and not called off
        self._closed = False
        self._tellings: set[asyncio.Task[None]] = set()
        self.turns = 0

    @property
    def sessions(self) -> int:
        """Open connections."""
        return len(self._guests)

    def activity(self) -> dict[str, Any]:
        """`activity` of GET /api/info; see docs/wire.md."""
        now = self._clock()
        return {
            "turns": self.turns,
            "sessions": self.sessions,
            "idle_s": 0.0 if self.turns else round(now - self._last_sign, 1),
            "stopping_in_s": None if self._stop_at is None else round(max(0.0, self._stop_at - now), 1),
        }

    def sign_of_life(self) -> None:
        """A client does something: an announced stop is called off, and those who were told are told so."""
        self._last_sign = self._clock()
        if self._stop_at is not None and not self._closed:
            self._stop_at = None
            logger.info("the announced stop is called off")
            telling = asyncio.create_task(self._tell_all(_stopping(None, STAYS)), name="stop called off")
            self._tellings.add(telling)
            telling.add_done_callback(self._tellings.discard)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A turn runs.

        Raises:
            Stopping: it comes too late.
        """
        self._let_in()
        self.turns += 1
        try:
            yield
        finally:
            self.turns -= 1
            self.sign_of_life()

    @contextmanager
    def connected(self, guest: Guest) -> Iterator[None]:
        """A connection is open.

        Raises:
            Stopping: it comes too late.
        """
        self._let_in()
        self._guests.add(guest)
        try:
            yield
        finally:
            self._guests.discard(guest)
            if self._stop_at is None:
                # A client that hangs up because it was told of the stop does not ask for the server to stay.
                self.sign_of_life()

    def _let_in(self) -> None:
        self.sign_of_life()
        if self._closed:
            raise Stopping(
                "This server is being stopped because nobody spoke; start its machine again.",
                retry_after_s=RETRY_AFTER_S,
            )

    async def warn(self, in_s: float) -> None:
        """Announce a stop to those connected."""
        self._stop_at = self._clock() + in_s
        text = f"Nobody has spoken for a while: this server stops in {in_s:.0f} s. Any message keeps it."
        await self._tell_all(_stopping(round(in_s), text))

    async def close(self) -> bool:
        """Shut the door, unless there was a sign of life since the warning; whether it is shut.

        Those still connected are told and dismissed. Until `reopen` every turn and connection is refused.
        """
        if self._closed:
            return True
        if self._stop_at is None or self.turns:
            return False
        self._closed = True  # before the first await: from here on nobody comes in
        await self._tell_all(_stopping(0, "The server stops now."))
        await self._each(lambda guest: guest.dismiss(GOING_AWAY, "stopping"))
        return True

    async def reopen(self) -> None:
        """The stop did not come about: serve on, and say so to those who were told of it."""
        self._closed = False
        if self._stop_at is not None:
            self._stop_at = None
            await self._tell_all(_stopping(None, STAYS))

    async def _tell_all(self, message: str) -> None:
        await self._each(lambda guest: guest.tell(message))

    async def _each(self, what: Callable[[Guest], Any]) -> None:
        async def one(guest: Guest) -> None:
            async with asyncio.timeout(TELL_S):
                await what(guest)

        told = await asyncio.gather(*(one(guest) for guest in tuple(self._guests)), return_exceptions=True)
        for failure in told:
            if isinstance(failure, Exception):
                logger.info("a client was not reached: %s", type(failure).__name__)


def _stopping(in_s: int | None, message: str) -> str:
    return json.dumps({"event": "stopping", "in_s": in_s, "message": message}, ensure_ascii=False)
