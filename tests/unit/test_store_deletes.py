"""Conversations that are deleted while turns of them run or wait, on this replica or on another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator

import pytest
from support.kept_turns import said, take, written
from support.lesson import conversation_in
from support.postgres import Postgres, postgres

from serve_app.config.store import StoreSettings
from serve_app.lesson.conversation import Conversation, Exchange
from serve_app.store.opening import open_store
from serve_app.store.sql import SqlStore


@pytest.fixture(scope="module")
def database() -> Generator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
async def replicas(database: Postgres) -> AsyncGenerator[tuple[SqlStore, SqlStore]]:
    """Two stores on one database."""
    settings = StoreSettings.model_validate({"url": database.new_database()})
    one, other = await open_store(settings, "", {}), await open_store(settings, "", {})
    assert isinstance(one, SqlStore)
    assert isinstance(other, SqlStore)
    yield one, other
    await one.close()
    await other.close()


async def utterances(store: SqlStore, conversation_id: str) -> list[str] | None:
    await written(store)
    found = await store.read(conversation_id)
    return None if found is None else [turn.transcript for turn in found.turns]


async def test_a_turn_on_another_replica_does_not_bring_a_deleted_conversation_back(
    replicas: tuple[SqlStore, SqlStore],
) -> None:
    here, there = replicas
    await take(here, "a", 1)
    await written(here)
    async with there.turn("a") as turn:
        assert await here.delete("a")
        turn.write(said(2), turn.conversation.with_exchange(Exchange("fala 2", "resposta 2", "A2")))
    assert await utterances(there, "a") is None


async def test_the_first_turn_of_a_conversation_that_is_deleted_on_another_replica_is_not_kept(
    replicas: tuple[SqlStore, SqlStore],
) -> None:
    here, there = replicas
    async with there.turn("a") as turn:
        assert await here.delete("a"), "a turn with which it began runs"
        turn.write(said(1), turn.conversation.with_exchange(Exchange("fala 1", "resposta 1", "A2")))
    assert await utterances(there, "a") is None
    assert not await here.delete("a")
    assert await conversation_in(there, "a") == Conversation("a")


async def test_nor_does_it_go_into_the_conversation_that_began_anew_with_the_same_id(
    replicas: tuple[SqlStore, SqlStore],
) -> None:
    here, there = replicas
    await take(here, "a", 1)
    await written(here)
    async with there.turn("a") as turn:
        assert await here.delete("a")
        async with asyncio.timeout(30):
            await take(here, "a", 3)
        await written(here)
        turn.write(said(2), turn.conversation.with_exchange(Exchange("fala 2", "resposta 2", "A2")))
    assert await utterances(there, "a") == ["fala 3"]
    assert (await conversation_in(here, "a")).utterances == ("fala 3",)


async def test_a_turn_that_begins_while_its_conversation_is_deleted_begins_it_anew(
    replicas: tuple[SqlStore, SqlStore],
) -> None:
    store, other = replicas
    await take(store, "a", 1)
    await written(store)
    async with other.engine.connect() as slow:
        await slow.exec_driver_sql("SELECT * FROM conversations FOR UPDATE")
        deleting = asyncio.create_task(store.delete("a"))
        await asyncio.sleep(0.2)
        turn = asyncio.create_task(conversation_in(store, "a"))
        await asyncio.sleep(0.2)
        await slow.rollback()
    assert await deleting
    assert await turn == Conversation("a")
