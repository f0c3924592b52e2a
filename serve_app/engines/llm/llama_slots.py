"""Chooses the llama.cpp slot for each conversation, so that a turn reads only its own new words.

llama.cpp picks the slot with the most similar text. All our conversations begin with the same prompt, so with
more learners than slots each turn would take another learner's slot and read its whole conversation again (2 to
4 s for a short one on two cores). Here a conversation goes back to its own slot. If another conversation needs
that slot, the keys and values in it are first saved to memory (30 KB a token), and restored later in some tens of
milliseconds.

A wrong choice costs time but never gives a wrong reply: llama.cpp compares the tokens itself. For a model with a
sliding window (Gemma 3) a state holds only the end of the text, so it helps only a conversation that goes on there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from serve_app.engines.llm.memory_file import memory_file
from serve_app.protocols import Message

SlotAction = Callable[[int, str, str], bool]
"""(slot, "save" or "restore", file name): True if llama.cpp did it."""


def shared(one: Sequence[Message], other: Sequence[Message]) -> int:
    """How many messages at the beginning are the same in both."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


@dataclass(slots=True)
class Slot:
    """One of llama.cpp's slots, and the conversation it has read."""

    number: int
    held: tuple[Message, ...] = ()
    busy: bool = False
    used: int = 0
    """Number of the reply for which it was last taken."""


@dataclass(frozen=True, slots=True)
class Aside:
    """The saved state of a conversation that has no slot."""

    held: tuple[Message, ...]
    state: bytes


class Slots:
    """Assigns slots to replies, first come, first served.

    `act` saves or restores a slot's state through a file in `folder`, whose bytes are in memory. At most
    `aside_bytes` of saved states are kept; the least recently used is dropped first.
    """

    def __init__(self, count: int, act: SlotAction, folder: Path, aside_bytes: int) -> None:
        self._slots = [Slot(number) for number in range(count)]
        self._free = asyncio.Semaphore(count)
        self._choosing = asyncio.Lock()
        self._act = act
        self._folder = folder
        self._aside: list[Aside] = []
        self._aside_bytes = aside_bytes
        self._replies = 0

    def forget(self) -> None:
        """Forget what the slots have read, because the prompt has changed."""
        self._aside.clear()
        for slot in self._slots:
            slot.held = ()

    async def take(self, messages: Sequence[Message]) -> Slot:
        """The slot that has read most of `messages`; waits until one is free. Call `give_back` afterwards."""
        await self._free.acquire()
        try:
            async with self._choosing:
                slot = self._best(messages)
                slot.busy = True
                try:
                    await self._prepare(slot, messages)
                except BaseException:
                    slot.busy = False
                    raise
        except BaseException:
            self._free.release()
            raise
        self._replies += 1
        slot.held, slot.used = tuple(messages), self._replies
        return slot

    def give_back(self, slot: Slot) -> None:
        slot.busy = False
        self._free.release()

    def _best(self, messages: Sequence[Message]) -> Slot:
        """The conversation's own slot; else one where nothing is lost; else the least recently used."""

        def order(slot: Slot) -> tuple[bool, int, int]:
            both = shared(slot.held, messages)
            loses = both < len(slot.held)
            return loses, 0 if loses else -both, slot.used

        return min((slot for slot in self._slots if not slot.busy), key=order)

    async def _prepare(self, slot: Slot, messages: Sequence[Message]) -> None:
        """Save the slot's state if it would be lost; restore the saved state of `messages` if there is one."""
        here = shared(slot.held, messages)
        wanted = max(self._aside, key=lambda aside: shared(aside.held, messages), default=None)
        if wanted is not None and shared(wanted.held, messages) > here:
            self._aside.remove(wanted)
        else:
            wanted = None
        if here < len(slot.held) and self._aside_bytes:
            state = await asyncio.to_thread(self._save, slot.number)
            if state is not None:
                self._keep(Aside(slot.held, state))
        if wanted is not None:
            await asyncio.to_thread(self._restore, slot.number, wanted.state)

    def _keep(self, aside: Aside) -> None:
        self._aside.append(aside)
        while sum(len(one.state) for one in self._aside) > self._aside_bytes:
            self._aside.pop(0)

    def _save(self, slot: int) -> bytes | None:
        """None if it cannot be saved: the conversation is then read again when it comes back."""
        try:
            with memory_file(self._folder) as path:
                return path.read_bytes() if self._act(slot, "save", path.name) else None
        except OSError:
            return None

    def _restore(self, slot: int, state: bytes) -> None:
        # If that fails, the conversation is read again.
        with contextlib.suppress(OSError), memory_file(self._folder) as path:
            path.write_bytes(state)
            self._act(slot, "restore", path.name)
