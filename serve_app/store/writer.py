"""Writes turns beside the voice: what is to be written waits in memory, and one task writes it, many turns at once.

A turn that changes again before it was written is written once. While the database cannot be reached everything waits,
up to a number of turns, and is tried again and again.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from serve_app.lesson.conversation import Conversation
from serve_app.lesson.kept import KeptTurn
from serve_app.store import statements
from serve_app.store.engine import FAILED, STATEMENT_S, is_lost

logger = logging.getLogger("ray.serve")

MOST_UNWRITTEN = 2000
"""Turns that wait at most, some 10 kB each; then the oldest is lost."""
AT_ONCE = 50
"""Turns written in one transaction."""
RETRY_S = (0.5, 1.0, 2.0, 5.0)
"""Pauses between tries."""


@dataclass(slots=True)
class Pending:
    """One turn that is not written as it is now. `token`: its lease, to be given back once it is written."""

    conversation_id: str
    key: str
    turn: KeptTurn | None = None
    after: Conversation | None = None
    token: str | None = None
    since: float | None = None
    """When the conversation began that the turn goes on; one that is gone by now was deleted."""
    holder: str | None = None
    """The process, if the turn began a conversation and took its lease; one that is gone by now was deleted with it."""
    written_once: bool = False
    changes: int = 0
    """Counts up, so that what changed while it was being written is written again."""
    settled: int = 0
    """The change up to which it is written, or given up."""


class Writer:
    """`reachable` is what the last try said. `lost` counts turns given up."""

    def __init__(self, engine: AsyncEngine, stack: str) -> None:
        self._engine = engine
        self._stack = stack
        self._pending: dict[str, Pending] = {}
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._progress = asyncio.Event()
        """Set, and replaced, when something was written."""
        self.reachable = True
        self.lost = 0
        self._task = asyncio.create_task(self._run(), name="store writer")

    def __len__(self) -> int:
        return sum(one.turn is not None for one in self._pending.values())

    def put(self, pending: Pending) -> None:
        """Write it soon; the caller may change it and put it again."""
        pending.changes += 1
        self._pending[pending.key] = pending
        if len(self._pending) > MOST_UNWRITTEN:
            del self._pending[next(iter(self._pending))]
            self.lost += 1
            if self.lost % 100 == 1:
                logger.error("%d turns are lost to the store, which is away too long", self.lost)
        self._idle.clear()
        self._work.set()

    def waits_for(self, conversation_id: str) -> bool:
        """Whether a turn of this conversation is not written yet."""
        return any(one.conversation_id == conversation_id and one.turn for one in self._pending.values())

    def conversations(self) -> set[str]:
        """Those of which a turn is not written yet."""
        return {one.conversation_id for one in self._pending.values() if one.turn}

    def drop(self, conversation_id: str) -> None:
        """Do not write what waits of this conversation; a lease is given back all the same."""
        for one in self._pending.values():
            if one.conversation_id == conversation_id:
                one.turn = one.after = None

    async def flush(self, within_s: float) -> bool:
        """Wait until nothing waits; returns whether that is so."""
        if not self._task.done():
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._idle.wait()
        return self._idle.is_set()

    async def settle(self, conversation_id: str, within_s: float) -> bool:
        """Wait until what waits of this conversation now is written, or given up; returns whether that is so."""
        asked = [(one, one.changes) for one in self._pending.values() if one.conversation_id == conversation_id]
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while any(one.settled < changes and self._pending.get(one.key) is one for one, changes in asked):
                    await self._progress.wait()
                return True
        return False

    def failed(self, error: BaseException) -> None:
        """The database was not reached: this task looks for it from now on."""
        if self.reachable:
            self.reachable = False
            logger.error(
                "conversations cannot be stored (%s): turns go on, and are stored when the store is back", _name(error)
            )
        self._work.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        tries = 0
        while True:
            await self._work.wait()
            try:
                await self._write_all()
            except FAILED as error:
                self.failed(error)
                await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1
                continue
            tries = 0

    async def _write_all(self) -> None:
        """In parts, each with a limit of its own: what was written is not written again after a failure."""
        waiting = list(self._pending.values())
        for first in range(0, max(1, len(waiting)), AT_ONCE):
            await self._write_part(waiting[first : first + AT_ONCE])

    async def _write_part(self, batch: list[Pending]) -> None:
        counted = [one.changes for one in batch]
        try:
            await self._write(batch)
        except Exception as error:  # a fault of ours must not end the task that everything is written by
            if is_lost(error):
                raise
            await self._write_singly(batch)
        else:
            self._back()
        self._forget(batch, counted)

    async def _write_singly(self, batch: list[Pending]) -> None:
        """One of them is refused by the database, and must not keep the others from being written."""
        for one in batch:
            changes = one.changes
            try:
                await self._write([one])
            except Exception as error:  # as above
                if is_lost(error):
                    raise
                self.lost += 1
                ours = not isinstance(error, FAILED)  # the text of a database's error may have the turn's in it
                logger.error("a turn could not be stored: it is refused (%s)", _name(error), exc_info=ours)
            else:
                self._back()
            self._forget([one], [changes])

    async def _write(self, batch: list[Pending]) -> None:
        async with asyncio.timeout(STATEMENT_S), self._engine.begin() as connection:
            for one in batch:
                await self._write_one(connection, one)
            if tokens := [one.token for one in batch if one.token]:
                await statements.release(connection, tokens)
            if not batch:
                await connection.exec_driver_sql("SELECT 1")
        for one in batch:
            one.written_once = one.written_once or one.turn is not None

    async def _write_one(self, connection: AsyncConnection, one: Pending) -> None:
        if one.turn is None:
            return
        if one.written_once:
            await statements.change(connection, one.key, one.turn)
        else:
            await statements.write(
                connection, one.conversation_id, self._stack, one.key, one.turn, one.since, holder=one.holder
            )
        if one.after is not None:
            await statements.save(connection, one.key, one.after)

    def _forget(self, batch: list[Pending], counted: list[int]) -> None:
        for one, changes in zip(batch, counted, strict=True):
            one.settled = max(one.settled, changes)
            if self._pending.get(one.key) is one and one.changes == changes:
                del self._pending[one.key]
        if not self._pending and self.reachable:  # else the loop asks whether the database is back
            self._work.clear()
        if not self._pending:
            self._idle.set()
        self._progress.set()
        self._progress = asyncio.Event()

    def _back(self) -> None:
        if not self.reachable:
            self.reachable = True
            logger.warning("the store is back: %d turns that waited are stored now", len(self))


def _name(error: BaseException) -> str:
    cause = getattr(error, "orig", None)  # of SQLAlchemy's own; whose cause is that of the driver
    return type(error if cause is None else cause.__cause__ or cause).__name__
