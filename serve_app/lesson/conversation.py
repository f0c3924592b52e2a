"""A learner's conversation so far, and the store that keeps it.

`MemoryStore` keeps conversations in memory; anything with the two methods of ConversationStore (a database, say)
can replace it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import Protocol

KEPT_UTTERANCES = 20
"""How many of the learner's latest utterances the level estimate uses; they stay when exchanges are dropped."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One utterance of the learner, the level it was answered at, and the tutor's reply.

    `tutor` is empty when the learner interrupted before any of the reply was heard.
    """

    learner: str
    tutor: str
    level: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """One learner's conversation. Immutable: each turn makes a new one, so a turn that fails changes nothing."""

    session_id: str
    exchanges: tuple[Exchange, ...] = ()
    utterances: tuple[str, ...] = ()
    level: str | None = None

    @property
    def last_reply(self) -> str:
        """What the tutor said last, "" at the beginning."""
        return next((exchange.tutor for exchange in reversed(self.exchanges) if exchange.tutor), "")

    def with_exchange(self, exchange: Exchange) -> Conversation:
        """The conversation after one more exchange."""
        return replace(
            self,
            exchanges=(*self.exchanges, exchange),
            utterances=(*self.utterances, exchange.learner)[-KEPT_UTTERANCES:],
            level=exchange.level,
        )

    def trimmed(self) -> Conversation:
        """A copy without the older half of the exchanges.

        Half at once, and rarely: dropping one exchange each turn would change the start of every prompt, and the
        LLM's prompt cache would never match.
        """
        return replace(self, exchanges=self.exchanges[(len(self.exchanges) + 1) // 2 :])


class ConversationStore(Protocol):
    async def load(self, session_id: str) -> Conversation:
        """The conversation with that id, or a new one."""
        ...

    async def save(self, conversation: Conversation) -> None: ...


@dataclass
class MemoryStore:
    """Keeps the latest `capacity` conversations, each for `idle_s` seconds after its last turn."""

    capacity: int = 1000
    idle_s: float = 3600.0
    _kept: OrderedDict[str, tuple[float, Conversation]] = field(default_factory=OrderedDict)

    async def load(self, session_id: str) -> Conversation:
        self._forget_idle()
        kept = self._kept.get(session_id)
        return kept[1] if kept else Conversation(session_id)

    async def save(self, conversation: Conversation) -> None:
        self._kept[conversation.session_id] = (time.monotonic(), conversation)
        self._kept.move_to_end(conversation.session_id)
        while len(self._kept) > self.capacity:
            self._kept.popitem(last=False)

    def _forget_idle(self) -> None:
        oldest_kept = time.monotonic() - self.idle_s
        while self._kept and next(iter(self._kept.values()))[0] < oldest_kept:
            self._kept.popitem(last=False)
