"""Conversations and how long the store keeps them: `serve_app.lesson.conversation`."""

from __future__ import annotations

import asyncio

import pytest

from serve_app.lesson.conversation import KEPT_UTTERANCES, Conversation, Exchange, MemoryStore


def lesson(session_id: str, exchanges: int) -> Conversation:
    conversation = Conversation(session_id)
    for number in range(exchanges):
        conversation = conversation.with_exchange(Exchange(f"fala {number}", f"resposta {number}", "A2"))
    return conversation


def test_an_exchange_is_added_at_the_end_and_sets_the_level() -> None:
    before = lesson("a", 2)
    after = before.with_exchange(Exchange("fala", "resposta", "B2"))
    assert after.exchanges == (*before.exchanges, Exchange("fala", "resposta", "B2"))
    assert after.utterances == ("fala 0", "fala 1", "fala")
    assert (before.level, after.level) == ("A2", "B2")
    assert len(before.exchanges) == 2


@pytest.mark.parametrize(("exchanges", "left"), [(1, 0), (2, 1), (3, 1), (9, 4), (10, 5)])
def test_trimming_drops_the_older_half_at_once(exchanges: int, left: int) -> None:
    whole = lesson("a", exchanges)
    assert whole.trimmed().exchanges == whole.exchanges[exchanges - left :]


def test_the_utterances_the_level_rests_on_outlive_trimming_but_are_bounded() -> None:
    conversation = lesson("a", KEPT_UTTERANCES + 5)
    assert conversation.trimmed().utterances == conversation.utterances
    assert len(conversation.utterances) == KEPT_UTTERANCES
    assert conversation.utterances[-1] == f"fala {KEPT_UTTERANCES + 4}"


async def test_an_unknown_session_is_a_new_conversation() -> None:
    assert await MemoryStore().load("a") == Conversation("a")


async def test_conversations_are_kept_apart() -> None:
    store = MemoryStore()
    await store.save(lesson("a", 1))
    await store.save(lesson("b", 2))
    assert await store.load("a") == lesson("a", 1)
    assert await store.load("b") == lesson("b", 2)


async def test_a_full_store_forgets_the_conversation_that_rested_longest() -> None:
    store = MemoryStore(capacity=2)
    for name in ("a", "b", "a", "c"):
        await store.save(lesson(name, 1))
    assert (await store.load("b")).exchanges == ()
    assert (await store.load("a")).exchanges != ()
    assert (await store.load("c")).exchanges != ()


async def test_an_idle_conversation_is_forgotten_and_an_active_one_is_not() -> None:
    store = MemoryStore(idle_s=0.2)
    await store.save(lesson("idle", 1))
    await store.save(lesson("active", 1))
    await asyncio.sleep(0.15)
    await store.save(lesson("active", 2))
    await asyncio.sleep(0.1)
    assert (await store.load("idle")).exchanges == ()
    assert len((await store.load("active")).exchanges) == 2


async def test_a_store_that_is_told_to_keep_less_forgets_at_once() -> None:
    store = MemoryStore()
    for name in ("a", "b", "c"):
        await store.save(lesson(name, 1))
    store.keep(2, 3600.0)
    assert (await store.load("a")).exchanges == ()
    assert (await store.load("b")).exchanges != ()
    store.keep(2, 1e-9)
    assert (await store.load("b")).exchanges == ()
