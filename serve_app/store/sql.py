"""Conversations in a database: SQLite or PostgreSQL. Several replicas may share it.

A turn begins with one short transaction: it takes the conversation's lease, so that no other replica runs a turn of
it, and loads it. From there on nobody waits for the database: what is to be kept is handed to the writer. Where the
database cannot be reached, a turn goes on with what this process remembers of the conversation, and without a lease.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from serve_app.config.store import StoreAddress
from serve_app.errors import StoreUnavailable
from serve_app.learner.memory import Memory
from serve_app.lesson.conversation import Conversation
from serve_app.lesson.kept import KeptConversation, KeptTurn, OneAtATime, StoreHealth
from serve_app.process_names import has_died, new_name
from serve_app.store import statements
from serve_app.store.engine import FAILED
from serve_app.store.learners import SqlLearners, expire
from serve_app.store.recent import Recent
from serve_app.store.writer import Pending, Writer

logger = logging.getLogger("ray.serve")

BEGIN_S = 2.0
"""Longest wait for the database before a turn; after one that took longer none waits until it is back."""
READ_S = 5.0
CLOSING_S = 0.1
LAST_WRITE_S = 2.0
"""Longest wait for what is not written when the store is closed."""
MOST_BLIND = 5000
"""Conversations at which it is looked which of them still matter: fewer than are remembered and wait."""
LOOK_AGAIN_S = 0.05
"""How often a turn asks whether another replica is done with its conversation."""
RENEW_S = 3.0
EXPIRE_S = 3600.0

Result = TypeVar("Result")
Work = Callable[[AsyncConnection], Awaitable[Result]]


class SqlTurn:
    """See OpenTurn."""

    def __init__(self, store: SqlStore, conversation: Conversation, pending: Pending) -> None:
        self.conversation = conversation
        self.deleted = False
        self._pending = pending
        self._store = store

    def write(self, turn: KeptTurn, after: Conversation | None = None) -> None:
        if self.deleted:
            return
        self._pending.turn = turn
        self._store.put(self._pending, after)


class SqlStore:
    """`open_store` makes one, for the event loop it runs on."""

    def __init__(
        self, engine: AsyncEngine, address: StoreAddress, stack: str, keep_days: float, keep_learners_days: float
    ) -> None:
        self.engine = engine
        self._address = address
        self._keep_days = keep_days
        self._keep_learners_days = keep_learners_days
        self._holder = new_name()
        self._recent: Recent[Conversation] = Recent()
        self.blind: set[str] = set()
        """Conversations that went on without what the database has of them; what they are is read from it later."""
        self._running: dict[str, SqlTurn] = {}
        self._leases: set[str] = set()
        self._one_at_a_time = OneAtATime()
        self._not_deleting = OneAtATime()
        """No turn loads a conversation while it is being deleted."""
        self._operations: set[asyncio.Task[object]] = set()
        self._taking: dict[str, asyncio.Task[object]] = {}
        """Of the operations those that take a lease, by its token."""
        self._writer = Writer(engine, stack)
        self.learners = Memory(SqlLearners(self._ask_if_there))
        self._tasks = [
            asyncio.create_task(self._every(RENEW_S, self._renew), name="store leases"),
            asyncio.create_task(self._every(EXPIRE_S, self._expire), name="store expiry"),
        ]

    @asynccontextmanager
    async def turn(self, conversation_id: str) -> AsyncGenerator[SqlTurn, None]:
        async with self._one_at_a_time.turn_of(conversation_id):
            pending = Pending(conversation_id, uuid.uuid4().hex)
            self._leases.add(pending.key)
            try:
                yield await self._begin(pending)
            finally:
                self._running.pop(conversation_id, None)
                self._leases.discard(pending.key)
                self._give_back(pending)

    def _give_back(self, pending: Pending) -> None:
        """Release the lease, once nothing may take it any more: taking it goes on when its turn is cancelled."""
        if (taking := self._taking.get(pending.key)) is not None:
            taking.add_done_callback(lambda _: self._give_back(pending))
            return
        pending.token = pending.key
        self._writer.put(pending)

    async def _begin(self, pending: Pending) -> SqlTurn:
        """Take the lease and load the conversation."""
        conversation_id, dead = pending.conversation_id, ""
        while True:
            async with self._not_deleting.turn_of(conversation_id):
                taken = await self._take(pending, dead)
                if isinstance(taken, Conversation):
                    turn = self._running[conversation_id] = SqlTurn(self, taken, pending)
                    return turn
            if has_died(taken):
                dead = taken
            else:
                await asyncio.sleep(LOOK_AGAIN_S)

    async def _take(self, pending: Pending, dead: str) -> Conversation | str:
        """The conversation, or else the process whose turn it has."""
        conversation_id = pending.conversation_id
        if self._writer.reachable:
            remembered = None
            if self._writer.waits_for(conversation_id):
                if conversation_id in self.blind:
                    await self._writer.settle(conversation_id, BEGIN_S)
                else:
                    remembered = self._recent.get(conversation_id)

            async def take(connection: AsyncConnection) -> tuple[str | None, Conversation | None]:
                other = await statements.lease(connection, conversation_id, pending.key, self._holder, dead)
                if other is not None or remembered is not None:
                    return other, remembered
                pending.since, loaded = await statements.load(connection, conversation_id)
                return None, loaded

            try:
                other, loaded = await self._run(take, BEGIN_S, pending.key)
            except FAILED as error:
                self._writer.failed(error)
            else:
                if other is not None:
                    return other
                self.blind.discard(conversation_id)
                pending.holder = self._holder if loaded is None else None
                return loaded or Conversation(conversation_id)
        if (known := self._recent.get(conversation_id)) is None:
            self._go_blind(conversation_id)
        return known or Conversation(conversation_id)

    def _go_blind(self, conversation_id: str) -> None:
        if len(self.blind) >= MOST_BLIND:  # where nothing is known any more of what was said meanwhile, that is over
            known = self._writer.conversations() | set(self._running)
            self.blind = {one for one in self.blind if one in known or self._recent.get(one) is not None}
        self.blind.add(conversation_id)

    def put(self, pending: Pending, after: Conversation | None) -> None:
        """Keep what a turn has written."""
        if after is not None:
            self._recent.put(pending.conversation_id, after)
            if pending.conversation_id not in self.blind:
                pending.after = after
        self._writer.put(pending)

    async def read(self, conversation_id: str) -> KeptConversation | None:
        await self._settled(conversation_id)
        return await self._ask(lambda connection: statements.read(connection, conversation_id))

    async def delete(self, conversation_id: str) -> bool:
        async with self._not_deleting.turn_of(conversation_id):
            await self._settled(conversation_id)
            if (running := self._running.get(conversation_id)) is not None:
                running.deleted = True
            self._writer.drop(conversation_id)
            try:
                if running is not None:  # it may be in the middle of a write
                    await self._settled(conversation_id)
                gone = await self._ask(lambda connection: statements.forget(connection, conversation_id))
            except StoreUnavailable:
                if running is not None:
                    running.deleted = False
                raise
            return self._recent.drop(conversation_id) or gone or running is not None

    def keep(self, capacity: int, idle_s: float) -> None:
        self._recent.keep(capacity, idle_s)

    def health(self) -> StoreHealth:
        return StoreHealth(self._address.kind, self._writer.reachable, len(self._writer))

    async def close(self) -> None:
        if self._writer.reachable and not await self.learners.flush(LAST_WRITE_S):
            logger.error("what was learned in the latest turns was not stored in time")
        await self.learners.close()
        if self._writer.reachable and not await self._writer.flush(LAST_WRITE_S):
            logger.error("%d turns were not stored in time", len(self._writer))
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await self._writer.close()
        await self.engine.dispose()

    async def _settled(self, conversation_id: str) -> None:
        """What this process has to write of the conversation is written."""
        if not self._writer.reachable or not await self._writer.settle(conversation_id, READ_S):
            raise StoreUnavailable()

    async def _ask(self, work: Work[Result]) -> Result:
        try:
            return await self._run(work, READ_S)
        except FAILED as error:
            self._writer.failed(error)
            raise StoreUnavailable() from None

    async def _ask_if_there(self, work: Work[Result], /) -> Result:
        """As `_ask`, without waiting for a database that is known to be away."""
        if not self._writer.reachable:
            raise StoreUnavailable()
        return await self._ask(work)

    async def _run(self, work: Work[Result], within_s: float, token: str = "") -> Result:
        """One transaction. Not ended with whoever waits for it: that would cost the connection, too.

        `token` is that of the lease that it takes, if it does.
        """

        async def transaction() -> Result:
            async with asyncio.timeout(within_s):
                try:
                    return await once()
                except FAILED as error:
                    # Connections that were idle while the database was started again are found dead one by one.
                    if not getattr(error, "connection_invalidated", False):
                        raise
                    return await once()

        async def once() -> Result:
            async with self.engine.begin() as connection:
                return await work(connection)

        task = asyncio.create_task(transaction(), name="store")
        self._operations.add(task)
        task.add_done_callback(self._over)
        if token:
            self._taking[token] = task
            task.add_done_callback(lambda _: self._taking.pop(token, None))
        async with asyncio.timeout(within_s + CLOSING_S):  # a connection that hangs takes seconds more to be given up
            return await asyncio.shield(task)

    def _over(self, task: asyncio.Task[object]) -> None:
        self._operations.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited for it has gone, or has been told

    async def _every(self, seconds: float, what: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                if self._writer.reachable:
                    await what()
            except FAILED as error:
                self._writer.failed(error)
            await asyncio.sleep(seconds)

    async def _renew(self) -> None:
        if tokens := list(self._leases):
            await self._run(lambda connection: statements.renew(connection, tokens), READ_S)

    async def _expire(self) -> None:
        while deleted := await self._run(lambda connection: statements.expire(connection, self._keep_days), READ_S):
            logger.info("%d conversations deleted that rested for %g days", deleted, self._keep_days)
        while deleted := await self._run(lambda connection: expire(connection, self._keep_learners_days), READ_S):
            logger.info("%d learners deleted who rested for %g days", deleted, self._keep_learners_days)
