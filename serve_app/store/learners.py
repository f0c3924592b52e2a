"""Learners in the memory of one process, or in a database: one row each, with a version."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serve_app.learner.model import Learner
from serve_app.store.recent import Recent
from serve_app.store.rows import owner_of
from serve_app.store.statements import insert
from serve_app.store.tables import learners

Result = TypeVar("Result")
_EXPIRED_AT_ONCE = 200


class Ask(Protocol):
    """Runs one transaction; raises StoreUnavailable where the database cannot be reached."""

    async def __call__(self, work: Callable[[AsyncConnection], Awaitable[Result]], /) -> Result: ...


class RecentLearners:
    """See LearnerStore. They end with the process."""

    def __init__(self, recent: Recent[tuple[Learner, int]]) -> None:
        self._recent = recent

    async def load(self, learner_id: str) -> tuple[Learner, int] | None:
        return self._recent.get(learner_id)

    async def save(self, learner_id: str, learner: Learner, version: int | None) -> bool:
        found = self._recent.get(learner_id)
        if (found[1] if found else None) != version:
            return False
        self._recent.put(learner_id, (learner, (version or 0) + 1))
        return True

    async def delete(self, learner_id: str) -> bool:
        return self._recent.drop(learner_id)


class SqlLearners:
    """See LearnerStore."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def load(self, learner_id: str) -> tuple[Learner, int] | None:
        wanted = select(learners.c.data, learners.c.version).where(learners.c.id == learner_id)

        async def work(connection: AsyncConnection) -> tuple[Learner, int] | None:
            row = (await connection.execute(wanted)).mappings().first()
            return (Learner.of(row["data"]), row["version"]) if row else None

        return await self._ask(work)

    async def save(self, learner_id: str, learner: Learner, version: int | None) -> bool:
        values = {"seen": learner.seen, "version": (version or 0) + 1, "data": learner.data()}

        async def work(connection: AsyncConnection) -> bool:
            if version is None:
                head = {"id": learner_id, "owner": owner_of(learner_id), "created": learner.created}
                given = insert(connection, learners).values(**head, **values)
                return (await connection.execute(given.on_conflict_do_nothing(index_elements=["id"]))).rowcount > 0
            same = (learners.c.id == learner_id) & (learners.c.version == version)
            return (await connection.execute(update(learners).where(same).values(**values))).rowcount > 0

        return await self._ask(work)

    async def delete(self, learner_id: str) -> bool:
        async def work(connection: AsyncConnection) -> bool:
            gone = await connection.execute(delete(learners).where(learners.c.id == learner_id))
            return gone.rowcount > 0

        return await self._ask(work)


async def expire(connection: AsyncConnection, keep_days: float) -> int:
    """Delete learners of whom nothing was heard for so long, some at a time; returns how many."""
    old = select(learners.c.id).where(learners.c.seen < time.time() - keep_days * 86400).limit(_EXPIRED_AT_ONCE)
    return (await connection.execute(delete(learners).where(learners.c.id.in_(old)))).rowcount
