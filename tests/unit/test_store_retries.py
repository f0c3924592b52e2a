"""What the store tries to write again, and what it gives up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError
from support.kept_turns import said, take, written
from support.lesson import conversation_in
from support.postgres import Postgres, postgres
from support.waiting import until

from serve_app.config.store import StoreSettings
from serve_app.store import statements
from serve_app.store.engine import is_lost
from serve_app.store.opening import open_store
from serve_app.store.sql import MOST_BLIND, SqlStore
from serve_app.store.writer import AT_ONCE, Pending, Writer


@pytest.fixture(scope="module")
def database() -> Generator[Postgres]:
    with postgres() as server:
        yield server


async def opened(url: str) -> SqlStore:
    store = await open_store(StoreSettings.model_validate({"url": url}), "", {})
    assert isinstance(store, SqlStore)
    return store


@pytest.fixture
async def store(database: Postgres) -> AsyncGenerator[SqlStore]:
    made = await opened(database.new_database())
    yield made
    await made.close()


async def execute(store: SqlStore, *statements: str) -> None:
    async with store.engine.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


RAISING = """
CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$
"""
TRIGGER = "CREATE TRIGGER fails BEFORE INSERT ON turns FOR EACH ROW EXECUTE FUNCTION fails()"


@pytest.mark.parametrize(
    ("state", "lost"),
    [
        ("57P03", True),  # the database is starting up or shutting down
        ("53300", True),  # too many connections
        ("53100", True),  # its disk is full
        ("25006", True),  # it is a copy that takes no writes
        ("40P01", True),  # a deadlock
        ("28P01", True),  # its password is being changed
        ("22001", False),  # a text too long
        ("23505", False),
        ("42501", False),  # no right to write this
    ],
)
async def test_the_class_of_the_error_says_whether_trying_again_may_help(
    store: SqlStore, state: str, lost: bool
) -> None:
    with pytest.raises(DBAPIError) as raised:
        await execute(store, f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$")
    assert is_lost(raised.value) is lost


async def test_turns_wait_while_the_disk_of_the_database_is_full(store: SqlStore) -> None:
    await execute(store, RAISING.format(state="53100"), TRIGGER)
    for number in (1, 2):
        await take(store, "a", number)
    await until(lambda: not store.health().reachable, 30, "the loss to be noticed")
    assert store.health().unwritten == 2
    await execute(store, "DROP TRIGGER fails ON turns")
    await written(store)
    assert store.health().reachable
    found = await store.read("a")
    assert found is not None
    assert [turn.transcript for turn in found.turns] == ["fala 1", "fala 2"]


async def test_what_cannot_be_written_at_all_is_given_up_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    store = await opened(f"sqlite:///{tmp_path}/a.sqlite3")
    async with store.turn("a") as turn:
        turn.write(said(1, estimate={"level": object()}))
    await take(store, "b", 2)
    await written(store)
    assert store.health().reachable
    assert (await conversation_in(store, "b")).utterances == ("fala 2",)
    assert await store.read("a") is None
    await store.close()


async def test_a_long_backlog_is_written_in_parts_and_what_is_written_does_not_wait_any_more(store: SqlStore) -> None:
    only = "WHEN (NEW.transcript = 'fala 119')"
    await execute(store, RAISING.format(state="53100"), TRIGGER.replace("EXECUTE", f"{only} EXECUTE"))
    writer = Writer(store.engine, "")
    for number in range(120):
        writer.put(Pending("a", f"{number}", said(number)))
    await until(lambda: not writer.reachable, 30, "the last part to fail")
    assert len(writer) == 120 % AT_ONCE
    await execute(store, "DROP TRIGGER fails ON turns")
    assert await writer.flush(10)
    found = await store.read("a")
    assert found is not None
    assert [turn.transcript for turn in found.turns] == [f"fala {number}" for number in range(120)]
    await writer.close()


async def test_whoever_reads_or_deletes_a_conversation_waits_for_its_own_turns_only(tmp_path: Path) -> None:
    store = await opened(f"sqlite:///{tmp_path}/a.sqlite3")
    await take(store, "a", 1)

    async def talk() -> None:
        async with store.turn("b") as turn:
            while True:
                turn.write(said(2))
                await asyncio.sleep(0)

    talking = asyncio.create_task(talk())
    await until(lambda: store.health().unwritten > 0, 30, "another conversation that never rests")
    assert (await store.read("a")) is not None
    assert await store.delete("a")
    talking.cancel()
    await asyncio.wait([talking])
    await store.close()


async def test_a_turn_cancelled_while_it_takes_its_conversation_gives_it_back(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "LEASE_S", 600.0)  # nobody waits for it
    async with store.engine.connect() as other:
        await other.exec_driver_sql("INSERT INTO leases VALUES ('a', 'x', 'x', 0)")
        turn = asyncio.create_task(conversation_in(store, "a"))
        await asyncio.sleep(0.3)
        turn.cancel()
        await asyncio.wait([turn])
        await asyncio.sleep(0.2)
        await other.rollback()
    another = await opened(store.engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
    async with asyncio.timeout(60):
        await take(another, "a", 1)
    await another.close()


async def test_an_outage_with_any_number_of_learners_leaves_a_bounded_number_of_them_in_memory(
    database: Postgres, store: SqlStore
) -> None:
    store.keep(10, 3600)
    database.stop()
    try:
        for number in range(2 * MOST_BLIND):
            await take(store, f"learner-{number}", 1)
        assert len(store.blind) <= MOST_BLIND
        assert f"learner-{2 * MOST_BLIND - 1}" in store.blind
    finally:
        database.start()
