"""Learners across conversations: loaded beside the ears, written after the voice, never waited for by either.

Two devices of one learner lose nothing: what is kept has a version, and where another writer was first, the turn is
learned again on top of what that wrote.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from serve_app.errors import StoreUnavailable
from serve_app.learner.learning import Heard, News, learned
from serve_app.learner.model import Learner

logger = logging.getLogger("ray.serve")

WAIT_S = 0.03
"""Longest a turn waits for its learner once it knows what was said: typing has no ears to load beside."""
RETRY_S = (0.0, 0.5, 2.0, 5.0, 15.0)
"""Pauses before the tries to write a turn; then what it would have taught is lost."""
MOST_UNWRITTEN = 500
TRIES = 20
"""Of one change against other writers."""

Result = TypeVar("Result")


class LearnerStore(Protocol):
    """Keeps learners by the id that `Utterance.learner` has. Every method raises StoreUnavailable where it is away."""

    async def load(self, learner_id: str) -> tuple[Learner, int] | None:
        """The learner and the version, None if there is none."""
        ...

    async def save(self, learner_id: str, learner: Learner, version: int | None) -> bool:
        """Write the version after `version`, None: the first. False: somebody else was first, or it is gone."""
        ...

    async def delete(self, learner_id: str) -> bool:
        """Returns whether there was one."""
        ...


class Recollection:
    """What one turn knows of its learner."""

    def __init__(self, learner_id: str, loading: asyncio.Task[Learner | None]) -> None:
        self.learner_id = learner_id
        self.forgotten = False
        """The learner was deleted while the turn ran."""
        self.before: Learner | None = None
        self.after: Learner | None = None
        self.heard: Heard | None = None
        self.away = True
        """Whether it is not known what is kept."""
        self._loading = loading

    def look(self) -> None:
        """Take what was loaded, if it was by now."""
        if self.away and self._loading.done() and not self._loading.cancelled() and not self._loading.exception():
            self.before, self.away = self._loading.result(), False

    async def learn(self, heard: Heard) -> News | None:
        """What the utterance changes; None where the store did not answer in time. Learned it is all the same."""
        self.heard = heard
        await self.remember()
        if self.away:
            return None
        self.after, news = learned(self.before, heard)
        return news

    async def remember(self) -> Learner | None:
        """The learner as they are known before the turn; None where none is, or the store did not answer in time."""
        if not self._loading.done():
            await asyncio.wait([self._loading], timeout=WAIT_S)
        self.look()
        self.after = self.before
        return self.before


class Memory:
    """The learners of one store."""

    def __init__(self, store: LearnerStore) -> None:
        self._store = store
        self._running: set[Recollection] = set()
        self._unwritten: dict[str, list[Recollection]] = {}
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, learner_id: str) -> Recollection:
        """The turn of this learner begins: what is kept is being loaded."""
        recollection = Recollection(learner_id, self._task(self.read(learner_id)))
        self._running.add(recollection)
        return recollection

    def end(self, recollection: Recollection, level: str | None) -> None:
        """The turn is over: what it taught is written soon."""
        self._running.discard(recollection)
        if (heard := recollection.heard) is None or recollection.forgotten:
            return
        recollection.heard = replace(heard, level=level)
        recollection.look()
        waiting = self._unwritten.setdefault(recollection.learner_id, [])
        waiting.append(recollection)
        if sum(map(len, self._unwritten.values())) > MOST_UNWRITTEN:
            waiting.remove(recollection)
            logger.error("a turn is not learned from: the store of learners is away too long")
        elif len(waiting) == 1:
            self._writing[recollection.learner_id] = self._task(self._write(recollection.learner_id))

    async def read(self, learner_id: str) -> Learner | None:
        """What is kept, with what this process has not written yet.

        Raises:
            StoreUnavailable
        """
        found = await self._store.load(learner_id)
        learner = found[0] if found else None
        for recollection in self._unwritten.get(learner_id, ()):
            if recollection.heard is not None and _same(recollection, learner):
                learner, _ = learned(learner, recollection.heard)
        return learner

    async def change(self, learner_id: str, change: Callable[[Learner], Learner]) -> Learner | None:
        """Change what is kept; None if there is no such learner.

        Raises:
            StoreUnavailable
            ParleError: of `change`.
        """
        await self.flush(1.0, learner_id)
        for _ in range(TRIES):
            if (found := await self._store.load(learner_id)) is None:
                return None
            after = change(found[0])
            if await self._store.save(learner_id, after, found[1]):
                return after
        raise StoreUnavailable()

    async def delete(self, learner_id: str) -> bool:
        """Forget all of it, turns that run included.

        Raises:
            StoreUnavailable
        """
        gone = await self._store.delete(learner_id)
        unwritten = self._unwritten.get(learner_id, [])
        running = [one for one in self._running if one.learner_id == learner_id]
        for one in (*unwritten, *running):
            one.forgotten = True
        if unwritten:  # one of them may have been in the middle of its write
            await self.flush(1.0, learner_id)
            gone = await self._store.delete(learner_id) or gone
        return gone or bool(unwritten) or any(one.heard for one in running)

    async def flush(self, within_s: float, learner_id: str | None = None) -> bool:
        """Wait until everything, or everything of one learner, is written; returns whether that is so."""
        writing = [task for name, task in self._writing.items() if learner_id in (None, name)]
        if not writing:
            return True
        _, still = await asyncio.wait(writing, timeout=within_s)
        return not still

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _write(self, learner_id: str) -> None:
        """Write the turns of one learner that wait, one after the other."""
        waiting = self._unwritten[learner_id]
        try:
            while waiting:
                for pause in RETRY_S:
                    await asyncio.sleep(pause)
                    with suppress(StoreUnavailable):
                        await self._write_one(waiting[0])
                        break
                else:
                    logger.error("%d turns are not learned from: the store of learners is away", len(waiting))
                    waiting.clear()
                    break
                del waiting[0]
        finally:
            del self._unwritten[learner_id], self._writing[learner_id]

    async def _write_one(self, one: Recollection) -> None:
        for _ in range(TRIES):
            if one.forgotten or one.heard is None:
                return
            found = await self._store.load(one.learner_id)
            before = found[0] if found else None
            if not _same(one, before):
                return
            after, _ = learned(before, one.heard)
            if after is before or await self._store.save(one.learner_id, after, found[1] if found else None):
                return
        logger.error("a turn is not learned from: too many write to one learner")

    def _task(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.create_task(work, name="learner")
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, StoreUnavailable):
            logger.error("what is known of a learner could not be used", exc_info=error)


def _same(one: Recollection, learner: Learner | None) -> bool:
    """Whether that is still the learner the turn began with: one that is gone, or that began anew, was deleted."""
    if one.away or one.before is None:
        return True
    return learner is not None and learner.created == one.before.created
