"""A learner's conversation so far, and the store that keeps it; one turn of a conversation at a time.

`MemoryStore` keeps conversations in memory; anything with the methods of ConversationStore (a database, say)
can replace it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol
from weakref import WeakValueDictionary

KEPT_UTTERANCES = 20
"""How many of the learner's latest utterances the level estimate uses; they stay when exchanges are dropped."""

CHARACTERS_PER_TOKEN = 3
"""Of Portuguese, in the vocabularies of Qwen, Gemma and Mistral: 3.1 to 3.9."""

EXCHANGE_TOKENS = 14
"""What the chat template and the level's tag add to an exchange."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One utterance of the learner, the level it was answered at, and the tutor's reply.

    `tutor` is empty when the learner interrupted before any of the reply was heard.
    """

    learner: str
    tutor: str
    level: str | None = None

    @property
    def tokens(self) -> int:
        """About how many tokens of the prompt it takes; rather too many than too few."""
        return EXCHANGE_TOKENS + (len(self.learner) + len(self.tutor)) // CHARACTERS_PER_TOKEN


@dataclass(frozen=True, slots=True)
class Conversation:
    """One learner's conversation. Immutable: each turn makes a new one, so a turn that fails changes nothing.

    `tokens` is the length of the next prompt up to here: as the LLM counted it last, with an estimate for what was
    said since.
    """

    session_id: str
    exchanges: tuple[Exchange, ...] = ()
    utterances: tuple[str, ...] = ()
    level: str | None = None
    tokens: int = 0

    @property
    def last_reply(self) -> str:
        """What the tutor said last, "" at the beginning."""
        return next((exchange.tutor for exchange in reversed(self.exchanges) if exchange.tutor), "")

    def with_exchange(self, exchange: Exchange, tokens: int | None = None) -> Conversation:
        """The conversation after one more exchange; `tokens` if the LLM counted the prompt and its reply."""
        return replace(
            self,
            exchanges=(*self.exchanges, exchange),
            utterances=(*self.utterances, exchange.learner)[-KEPT_UTTERANCES:],
            level=exchange.level,
            tokens=self.tokens + exchange.tokens if tokens is None else tokens,
        )

    def trimmed(self) -> Conversation:
        """A copy without the older half of the exchanges.

        Half at once, and rarely: dropping one exchange each turn would change the start of every prompt, and the
        LLM's prompt cache would never match.
        """
        dropped = (len(self.exchanges) + 1) // 2
        tokens = self.tokens - sum(exchange.tokens for exchange in self.exchanges[:dropped])
        return replace(self, exchanges=self.exchanges[dropped:], tokens=max(0, tokens))


class ConversationStore(Protocol):
    async def load(self, session_id: str) -> Conversation:
        """The conversation with that id, or a new one."""
        ...

    async def save(self, conversation: Conversation) -> None: ...

    def keep(self, capacity: int, idle_s: float) -> None:
        """From now on keep at most `capacity` conversations, each for `idle_s` seconds after its last turn."""
        ...


class OneAtATime:
    """Lets the turns of one conversation begin one after the other: a turn needs what the one before it left.

    For the turns of one process. A turn that is cancelled while it waits leaves no trace.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn_of(self, session_id: str) -> AsyncGenerator[None, None]:
        """Wait until no other block of this session runs, in the order of coming."""
        lock = self._locks.setdefault(session_id, asyncio.Lock())
        async with lock:
            yield


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
        self._forget_surplus()

    def keep(self, capacity: int, idle_s: float) -> None:
        self.capacity, self.idle_s = capacity, idle_s
        self._forget_surplus()
        self._forget_idle()

    def _forget_surplus(self) -> None:
        while len(self._kept) > self.capacity:
            self._kept.popitem(last=False)

    def _forget_idle(self) -> None:
        oldest_kept = time.monotonic() - self.idle_s
        while self._kept and next(iter(self._kept.values()))[0] < oldest_kept:
            self._kept.popitem(last=False)
