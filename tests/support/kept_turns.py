"""Turns as a store is told of them."""

from __future__ import annotations

from dataclasses import replace

from serve_app.lesson.conversation import Exchange
from serve_app.lesson.kept import ConversationStore, KeptTurn
from serve_app.store.memory import MemoryStore
from serve_app.store.sql import SqlStore
from support.waiting import until


def said(number: int, **fields: object) -> KeptTurn:
    turn = KeptTurn(f"t-{number}", 1000.0 + number, f"fala {number}", level="A2", reply=f"resposta {number}")
    return replace(turn, state="complete", ended=1001.0 + number, **fields)  # pyright: ignore[reportArgumentType]


async def take(store: ConversationStore, conversation_id: str, number: int, tokens: int | None = None) -> None:
    """One whole turn, as serve_app.lesson.turn does it."""
    async with store.turn(conversation_id) as turn:
        whole = said(number)
        turn.write(replace(whole, reply="", state="running", ended=None))
        after = turn.conversation.with_exchange(Exchange(whole.transcript, whole.reply, "A2"), tokens)
        turn.write(whole, after)


async def written(store: MemoryStore | SqlStore) -> None:
    """Until nothing waits to be written."""
    await until(lambda: store.health().unwritten == 0, 30, "the writer")
