"""What is kept of a conversation, and what a turn asks of the store that keeps it (serve_app.store).

The store is told of a turn when its transcript is known, with each piece of speech that goes out, and at its end: a
process that dies loses at most the words not yet spoken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from weakref import WeakValueDictionary

from serve_app.learner.memory import Memory
from serve_app.lesson.conversation import KEPT_UTTERANCES, Conversation, Exchange
from serve_app.protocols import Word
from serve_app.scenarios.progress import Progress

TurnKind = Literal["turn", "start", "finish"]
"""start, finish: the tutor spoke unasked, to open a lesson or to sum it up; there is no transcript."""
TurnState = Literal["running", "complete", "interrupted", "failed"]
"""A turn that is `running` though nobody works on it was cut off when its process died."""


@dataclass(frozen=True, slots=True)
class KeptTurn:
    """One turn as it is kept: what was said, no sound. Times are seconds since 1970.

    `reply` is what the learner can have heard of it: all of a complete one, else as far as it was spoken.
    """

    turn_id: str
    began: float
    transcript: str
    words: tuple[Word, ...] = ()
    language: str | None = None
    level: str | None = None
    """The level it was answered at."""
    estimate: dict[str, Any] | None = None
    """The data of its `level` event."""
    correction: dict[str, Any] | None = None
    """The data of its `correction` event."""
    reply: str = ""
    state: TurnState = "running"
    error: str | None = None
    """The code with which it failed, or was cut: then it is `interrupted`."""
    ended: float | None = None
    timing: dict[str, int] | None = None
    kind: TurnKind = "turn"
    scenario: dict[str, Any] | None = None
    """The data of the conversation's Progress after it."""

    @property
    def exchange(self) -> Exchange | None:
        """What of it the conversation goes on from; nothing of a turn that failed, or of which nothing was heard."""
        if self.state == "failed" or not (self.transcript or self.reply):
            return None
        return Exchange(self.transcript, self.reply, self.level)


@dataclass(frozen=True, slots=True)
class Position:
    """How far a conversation had got when it was saved last: see Conversation for `tokens`."""

    exchanges: int
    """How many of the exchanges up to then are still part of the prompt."""
    tokens: int


@dataclass(frozen=True, slots=True)
class KeptConversation:
    """All that is kept of a conversation, its turns in order."""

    conversation_id: str
    stack: str
    created: float
    seen: float
    turns: tuple[KeptTurn, ...]

    @property
    def session_id(self) -> str:
        """The id as its owner knows it."""
        return self.conversation_id.rpartition("/")[2]


def resumed(conversation_id: str, before: list[KeptTurn], position: Position, after: list[KeptTurn]) -> Conversation:
    """A conversation as the next turn needs it, from turns `before` its last save and `after` it.

    There are turns after it where a process died in the middle of one, or while it could not write.
    """
    kept = [*before, *after]
    said = [turn.exchange for turn in before if turn.exchange]
    later = [turn.exchange for turn in after if turn.exchange]
    conversation = Conversation(
        conversation_id,
        tuple(said[max(0, len(said) - position.exchanges) :]),
        tuple(exchange.learner for exchange in said if exchange.learner)[-KEPT_UTTERANCES:],
        said[-1].level if said else None,
        position.tokens,
        next((Progress.of(one.scenario) for one in reversed(kept) if one.scenario and one.state != "failed"), None),
    )
    for exchange in later:
        conversation = conversation.with_exchange(exchange)
    return conversation


class OpenTurn(Protocol):
    """A turn that the store lets run: no other turn of its conversation does so meanwhile."""

    conversation: Conversation
    """As it was before this turn."""

    def write(self, turn: KeptTurn, after: Conversation | None = None) -> None:
        """Keep the turn as it is now, and the conversation `after` it. Returns at once: nobody waits for a disk."""
        ...


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """What a store says of itself."""

    kind: str
    reachable: bool = True
    unwritten: int = 0
    """Turns that wait to be written."""


class ConversationStore(Protocol):
    """Keeps conversations by the id that `Utterance.conversation_id` has."""

    @property
    def learners(self) -> Memory:
        """What is kept across conversations."""
        ...

    def turn(self, conversation_id: str) -> AbstractAsyncContextManager[OpenTurn]:
        """Wait until no other turn of this conversation runs, here or on another replica; then run until it is left.

        Never raises: where the store cannot be reached, the turn goes on with what this process remembers.
        """
        ...

    async def read(self, conversation_id: str) -> KeptConversation | None:
        """All that is kept of it, None if there is no such conversation.

        Raises:
            StoreUnavailable: the store cannot be reached.
        """
        ...

    async def delete(self, conversation_id: str) -> bool:
        """Forget it, a turn that runs included; returns whether there was one.

        Raises:
            StoreUnavailable: the store cannot be reached.
        """
        ...

    def keep(self, capacity: int, idle_s: float) -> None:
        """From now on keep in memory at most `capacity` conversations, each for `idle_s` seconds after a turn."""
        ...

    def health(self) -> StoreHealth: ...

    async def close(self) -> None:
        """Write what waits, if that is possible within seconds, and let go of every conversation. No turn begins
        after it."""
        ...


class OneAtATime:
    """Lets the turns of one conversation begin one after the other: a turn needs what the one before it left.

    For the turns of one process. A turn that is cancelled while it waits leaves no trace.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn_of(self, conversation_id: str) -> AsyncGenerator[None, None]:
        """Wait until no other block of this conversation runs, in the order of coming."""
        lock = self._locks.setdefault(conversation_id, asyncio.Lock())
        async with lock:
            yield
