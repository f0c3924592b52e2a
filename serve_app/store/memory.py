"""Conversations in the memory of one process: they end with it."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from serve_app.learner.memory import Memory
from serve_app.learner.model import Learner
from serve_app.lesson.conversation import Conversation
from serve_app.lesson.kept import KeptConversation, KeptTurn, OneAtATime, StoreHealth
from serve_app.store.learners import RecentLearners
from serve_app.store.recent import Recent

MOST_TURNS = 500
"""Turns that can be read of one conversation; what its next turn needs is kept beside them."""


@dataclass
class _Kept:
    """One conversation. `turns` in order, by their keys."""

    created: float
    seen: float
    now: Conversation
    turns: dict[str, KeptTurn] = field(default_factory=dict)


class MemoryTurn:
    """See OpenTurn."""

    def __init__(self, store: MemoryStore, conversation: Conversation) -> None:
        self.conversation = conversation
        self.deleted = False
        self._key = uuid.uuid4().hex
        self._store = store

    def write(self, turn: KeptTurn, after: Conversation | None = None) -> None:
        if not self.deleted:
            self._store.put(self.conversation, self._key, turn, after)


class MemoryStore:
    """Keeps the latest `capacity` conversations, each for `idle_s` seconds after its last turn."""

    def __init__(self, capacity: int = 1000, idle_s: float = 3600.0, stack: str = "") -> None:
        self._stack = stack
        self._recent: Recent[_Kept] = Recent(capacity, idle_s)
        self._learners: Recent[tuple[Learner, int]] = Recent(capacity, idle_s)
        self.learners = Memory(RecentLearners(self._learners))
        self._running: dict[str, MemoryTurn] = {}
        self._one_at_a_time = OneAtATime()

    @asynccontextmanager
    async def turn(self, conversation_id: str) -> AsyncGenerator[MemoryTurn, None]:
        async with self._one_at_a_time.turn_of(conversation_id):
            kept = self._recent.get(conversation_id)
            turn = MemoryTurn(self, kept.now if kept else Conversation(conversation_id))
            self._running[conversation_id] = turn
            try:
                yield turn
            finally:
                del self._running[conversation_id]

    def put(self, before: Conversation, key: str, turn: KeptTurn, after: Conversation | None) -> None:
        """Keep one turn of a conversation, and how that goes on."""
        now = time.time()
        kept = self._recent.get(before.session_id) or _Kept(now, now, before)
        kept.turns[key] = turn
        while len(kept.turns) > MOST_TURNS:
            del kept.turns[next(iter(kept.turns))]
        kept.now, kept.seen = after or kept.now, now
        self._recent.put(before.session_id, kept)

    async def read(self, conversation_id: str) -> KeptConversation | None:
        if (kept := self._recent.get(conversation_id)) is None:
            return None
        turns = tuple(kept.turns.values())
        return KeptConversation(conversation_id, self._stack, kept.created, kept.seen, turns)

    async def delete(self, conversation_id: str) -> bool:
        if running := self._running.get(conversation_id):
            running.deleted = True
        return self._recent.drop(conversation_id) or running is not None

    def keep(self, capacity: int, idle_s: float) -> None:
        self._recent.keep(capacity, idle_s)
        self._learners.keep(capacity, idle_s)

    def health(self) -> StoreHealth:
        return StoreHealth("memory")

    async def close(self) -> None:
        await self.learners.close()
