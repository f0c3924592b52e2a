"""Who uses the server: turns in flight, open connections, time since the last activity of any client.

Auto-stop on a rented machine relies on it. A stop has two steps, both in the ingress so that no turn can start
between them: `warn` announces the stop, and any activity then cancels it; `close` refuses everything from then on,
but only if there was no activity.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from serve_app.errors import Stopping

logger = logging.getLogger("ray.serve")

TELL_S = 2.0
"""Timeout for telling one client, so that one with a dead network does not delay the others."""
GOING_AWAY = 1001
RESTARTING = 1012
RETRY_AFTER_S = 60
BACK_S = 15
"""After how long a client may try again whose server is being restarted."""
STAYS = "The server stays."


class OpenConnection(Protocol):
    """An open connection that can be told of a stop."""

    @property
    def busy(self) -> bool:
        """Whether a turn of it is running."""
        ...

    async def tell(self, message: str) -> None: ...

    async def dismiss(self, code: int, reason: str) -> None: ...


class Presence:
    """The activity of one ingress replica. Everything here runs on its event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._connections: set[OpenConnection] = set()
        self._last_sign = clock()
        self._stop_at: float | None = None  # when an announced stop is due
        self._closed = False
        self._leave_at: float | None = None  # when the last turns are cut, once the operator stops the server
        self._tellings: set[asyncio.Task[None]] = set()
        self.turns = 0

    @property
    def sessions(self) -> int:
        """Open connections."""
        return len(self._connections)

    def activity(self) -> dict[str, Any]:
        """`activity` of GET /api/info; see docs/wire.md."""
        now = self._clock()
        stop_at = self._stop_at if self._leave_at is None else self._leave_at
        return {
            "turns": self.turns,
            "sessions": self.sessions,
            "idle_s": 0.0 if self.turns else round(now - self._last_sign, 1),
            "stopping_in_s": None if stop_at is None else round(max(0.0, stop_at - now), 1),
        }

    def sign_of_life(self) -> None:
        """A client did something that was accepted: cancel an announced stop, and tell the connections so."""
        self._last_sign = self._clock()
        if self._stop_at is not None and not self._closed:
            self._stop_at = None
            logger.info("a client is active: the announced stop is cancelled")
            telling = asyncio.create_task(self._tell_all(_stopping(None, STAYS)), name="stop cancelled")
            self._tellings.add(telling)
            telling.add_done_callback(self._tellings.discard)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Count a turn while the block runs. No sign of life by itself: its recording may be refused.

        Raises:
            Stopping: the server is closed, or leaves.
        """
        self.admit()
        self.turns += 1
        try:
            yield
        finally:
            self.turns -= 1

    @contextmanager
    def connected(self, connection: OpenConnection) -> Iterator[None]:
        """Count a connection while the block runs.

        Raises:
            Stopping: the server is closed, or leaves.
        """
        self.admit()
        self.sign_of_life()
        self._connections.add(connection)
        try:
            yield
        finally:
            self._connections.discard(connection)
            if self._stop_at is None:
                # A client that hangs up because it was told of the stop is not a reason to stay.
                self.sign_of_life()

    @property
    def leaving(self) -> bool:
        """Whether the operator stops this server, or replaces it by another one."""
        return self._leave_at is not None

    @property
    def farewell(self) -> tuple[int, str]:
        """Code and reason with which a refused connection is closed."""
        return (RESTARTING, "restarting") if self.leaving else (GOING_AWAY, "stopping")

    async def leave(self, within_s: float) -> None:
        """Refuse everything from here on, and tell the connections."""
        self._leave_at = self._clock() + within_s
        told = _stopping(round(within_s), "The server stops or is being restarted; connect again.", restart=True)
        await self._tell_all(told)

    @property
    def busy(self) -> bool:
        """Whether a turn runs, or a message of a connection is being handled."""
        return self.turns > 0 or any(connection.busy for connection in self._connections)

    async def dismiss(self, *, idle: bool) -> None:
        """Close the connections without a running turn, or all of them."""
        leaving = [connection for connection in self._connections if not (idle and connection.busy)]
        await self._each(lambda connection: connection.dismiss(*self.farewell), leaving)

    def admit(self) -> None:
        """Refuse what would begin now, if nothing may.

        Raises:
            Stopping: the server is closed, or leaves.
        """
        if self.leaving:
            raise Stopping(f"This server stops or is being restarted; try again in {BACK_S} s.", retry_after_s=BACK_S)
        if self._closed:
            self.sign_of_life()  # counts if the stop does not happen
            raise Stopping(
                "This server is being stopped because nobody spoke; start its machine again.",
                retry_after_s=RETRY_AFTER_S,
            )

    async def warn(self, in_s: float) -> None:
        """Announce a stop to all connections."""
        self._stop_at = self._clock() + in_s
        text = f"Nobody has spoken for a while: this server stops in {in_s:.0f} s. Speak, and it stays."
        await self._tell_all(_stopping(round(in_s), text))

    async def close(self) -> bool:
        """Close the server, unless a client was active since the warning; returns whether it is closed.

        Connections are told and then closed. Until `reopen` every turn and connection is refused.
        """
        if self._closed:
            return True
        if self._stop_at is None or self.turns:
            return False
        self._closed = True  # before the first await, so that nothing is admitted meanwhile
        await self._tell_all(_stopping(0, "The server stops now."))
        await self._each(lambda connection: connection.dismiss(GOING_AWAY, "stopping"))
        return True

    async def reopen(self) -> None:
        """The stop did not happen: serve again, and tell the connections."""
        self._closed = False
        if self._stop_at is not None:
            self._stop_at = None
            await self._tell_all(_stopping(None, STAYS))

    async def _tell_all(self, message: str) -> None:
        await self._each(lambda connection: connection.tell(message))

    async def _each(
        self, what: Callable[[OpenConnection], Any], connections: Iterable[OpenConnection] | None = None
    ) -> None:
        """Do it for these connections, by default for all that are open."""

        async def one(connection: OpenConnection) -> None:
            async with asyncio.timeout(TELL_S):
                await what(connection)

        told = await asyncio.gather(
            *(one(connection) for connection in tuple(self._connections if connections is None else connections)),
            return_exceptions=True,
        )
        for failure in told:
            if isinstance(failure, Exception):
                logger.info("a client was not reached: %s", type(failure).__name__)


def _stopping(in_s: int | None, message: str, **more: bool) -> str:
    return json.dumps({"event": "stopping", "in_s": in_s, "message": message, **more}, ensure_ascii=False)
