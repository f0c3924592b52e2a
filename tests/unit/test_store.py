"""What every store of conversations does, in memory, in a SQLite file and in a real PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from support.kept_turns import said, take, written
from support.lesson import conversation_in
from support.postgres import Postgres, postgres
from support.waiting import until

from serve_app.config.store import StoreSettings
from serve_app.errors import StackError, StoreUnavailable
from serve_app.learner.learning import Heard
from serve_app.lesson.conversation import KEPT_UTTERANCES, Conversation, Exchange
from serve_app.protocols import Word
from serve_app.scenarios.progress import Progress
from serve_app.store.memory import MemoryStore
from serve_app.store.opening import open_store
from serve_app.store.sql import BEGIN_S, SqlStore
from serve_app.store.tables import metadata

KINDS = ["memory", "sqlite", "postgresql"]
SHARED = ["sqlite", "postgresql"]
"""Those that outlive a process, and that several processes can use together."""


@pytest.fixture(scope="module")
def database() -> Generator[Postgres]:
    with postgres() as server:
        yield server


@dataclass
class Place:
    """Where one test keeps its conversations; every store that it opens there finds the same."""

    url: str
    opened: list[MemoryStore | SqlStore]
    keep_days: float = 90.0
    keep_learners_days: float = 90.0

    async def open(self) -> MemoryStore | SqlStore:
        days = {"keep_days": self.keep_days, "keep_learners_days": self.keep_learners_days}
        settings = StoreSettings.model_validate({"url": self.url, **days})
        store = await open_store(settings, "whisper, qwen", {})
        self.opened.append(store)
        return store


@pytest.fixture
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Place]:
    kind = request.param
    url = f"sqlite:///{tmp_path}/dados/aula.sqlite3" if kind == "sqlite" else kind
    if kind == "postgresql":
        url = request.getfixturevalue("database").new_database()
    made = Place(url, [])
    yield made
    for store in made.opened:
        await store.close()


def each(kinds: list[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("place", kinds, indirect=True)


@each(KINDS)
async def test_an_unknown_conversation_is_a_new_one_and_leaves_no_trace(place: Place) -> None:
    store = await place.open()
    assert await conversation_in(store, "a") == Conversation("a")
    assert await store.read("a") is None
    assert await store.delete("a") is False


@each(KINDS)
async def test_the_next_turn_finds_what_the_one_before_it_left(place: Place) -> None:
    store = await place.open()
    await take(store, "a", 1, tokens=50)
    await take(store, "b", 9)
    await take(store, "a", 2, tokens=80)
    a = await conversation_in(store, "a")
    assert a.exchanges == (Exchange("fala 1", "resposta 1", "A2"), Exchange("fala 2", "resposta 2", "A2"))
    assert (a.utterances, a.level, a.tokens) == (("fala 1", "fala 2"), "A2", 80)
    assert (await conversation_in(store, "b")).utterances == ("fala 9",)


@each(KINDS)
async def test_everything_of_a_turn_can_be_read_again(place: Place) -> None:
    store = await place.open()
    words = (Word("Eu", 0.0, 0.2, 0.99), Word("gosta", 0.2, 0.6, 0.31))
    whole = said(
        1,
        words=words,
        language="pt",
        estimate={"level": "A2", "probabilities": {"A2": 0.7}},
        correction={"wrong": "gosta", "better": "gosto"},
        timing={"stt_ms": 900},
        kind="finish",
        scenario={"id": "padaria", "done": ["pao"], "asked": ["pao", "bebida"], "goal": False},
    )
    before = time.time()
    async with store.turn("ana/a") as turn:
        turn.write(whole, turn.conversation.with_exchange(Exchange("fala 1", "resposta 1", "A2")))
    found = await store.read("ana/a")
    assert found is not None
    assert found.turns == (whole,)
    assert (found.session_id, found.stack) == ("a", "whisper, qwen")
    assert before - 1 <= found.seen <= time.time() + 1


@each(SHARED)
async def test_a_scenario_goes_on_where_it_was_also_after_a_turn_that_failed_or_was_not_heard(place: Place) -> None:
    store, progress = await place.open(), Progress("padaria", ("pao",), ("pao", "bebida"))
    turns = [
        replace(said(1), kind="start", transcript="", reply="", state="interrupted", scenario=progress.data()),
        replace(said(2), state="failed", scenario=Progress("padaria", ("pao", "bebida")).data()),
    ]
    for one in turns:
        async with store.turn("a") as turn:
            turn.write(one, turn.conversation if one.state == "interrupted" else None)
    await written(store)
    found = await conversation_in(await place.open(), "a")
    assert (found.scenario, found.exchanges, found.utterances) == (progress, (), ())


@each(KINDS)
async def test_a_conversation_without_its_older_half_stays_without_it(place: Place) -> None:
    store = await place.open()
    for number in range(KEPT_UTTERANCES + 4):
        async with store.turn("a") as turn:
            after = turn.conversation.with_exchange(Exchange(f"fala {number}", f"resposta {number}", "A2"))
            turn.write(said(number), after.trimmed() if number % 10 == 9 else after)
    now = await conversation_in(store, "a")
    # Of ten 5 stay; of 15 then 7, and four more came.
    assert [exchange.learner for exchange in now.exchanges] == [f"fala {n}" for n in range(13, 24)]
    assert now.utterances == tuple(f"fala {n}" for n in range(4, 24))
    found = await store.read("a")
    assert found is not None
    assert len(found.turns) == KEPT_UTTERANCES + 4, "what the prompt lost can still be read"


@each(KINDS)
async def test_a_turn_that_failed_is_kept_but_the_conversation_goes_on_without_it(place: Place) -> None:
    store = await place.open()
    await take(store, "a", 1)
    async with store.turn("a") as turn:
        turn.write(replace(said(2), state="failed", error="stage_lost", reply=""))
    await take(store, "a", 3)
    assert (await conversation_in(store, "a")).utterances == ("fala 1", "fala 3")
    found = await store.read("a")
    assert found is not None
    assert [(one.state, one.error) for one in found.turns] == [
        ("complete", None),
        ("failed", "stage_lost"),
        ("complete", None),
    ]


@each(KINDS)
async def test_a_deleted_conversation_is_gone_and_begins_anew(place: Place) -> None:
    store = await place.open()
    await take(store, "a", 1)
    await take(store, "b", 2)
    assert await store.delete("a") is True
    assert await store.read("a") is None
    assert await conversation_in(store, "a") == Conversation("a")
    assert await store.read("b") is not None


@each(KINDS)
async def test_a_turn_that_runs_does_not_bring_a_deleted_conversation_back(place: Place) -> None:
    store = await place.open()
    await take(store, "a", 1)
    async with store.turn("a") as turn:
        turn.write(replace(said(2), state="running"))
        assert await store.delete("a")
        turn.write(said(2), turn.conversation.with_exchange(Exchange("fala 2", "resposta 2", "A2")))
    assert await store.read("a") is None
    assert await conversation_in(store, "a") == Conversation("a")


@each(KINDS)
async def test_a_conversation_deleted_during_its_first_turn_does_not_begin(place: Place) -> None:
    store = await place.open()
    async with store.turn("a") as turn:
        assert await store.delete("a")
        turn.write(said(1), turn.conversation.with_exchange(Exchange("fala 1", "resposta 1", "A2")))
    assert await store.read("a") is None
    assert not await store.delete("a")


@each(KINDS)
async def test_turns_of_one_conversation_wait_for_each_other_and_others_do_not(place: Place) -> None:
    store = await place.open()
    order: list[str] = []
    may_end = asyncio.Event()

    async def turn_of(name: str, conversation_id: str) -> None:
        async with store.turn(conversation_id) as turn:
            order.append(f"{name} begins")
            if name == "first":
                await may_end.wait()
            turn.write(said(1), turn.conversation.with_exchange(Exchange(name, "", "A2")))
            order.append(f"{name} ends")

    async with asyncio.TaskGroup() as group:
        group.create_task(turn_of("first", "a"))
        await until(lambda: "first begins" in order, 30, "the first turn")
        group.create_task(turn_of("second", "a"))
        group.create_task(turn_of("other", "b"))
        await until(lambda: "other ends" in order, 30, "the turn of another conversation")
        await asyncio.sleep(0.1)
        may_end.set()
    assert order == ["first begins", "other begins", "other ends", "first ends", "second begins", "second ends"]
    assert (await conversation_in(store, "a")).utterances[-1:] == ("second",)


@each(KINDS)
async def test_a_turn_cancelled_while_it_waits_keeps_nobody_waiting(place: Place) -> None:
    store = await place.open()
    async with store.turn("a"):
        waiting = asyncio.create_task(conversation_in(store, "a"))
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.wait([waiting])
    async with asyncio.timeout(30):
        await take(store, "a", 1)


@each(["memory"])
async def test_memory_forgets_the_conversation_that_rested_longest(place: Place) -> None:
    store = await place.open()
    store.keep(2, 3600)
    for name in ("a", "b", "a", "c"):
        await take(store, name, 1)
    assert await store.read("b") is None
    assert (await conversation_in(store, "a")).exchanges != ()
    assert (await conversation_in(store, "c")).exchanges != ()
    store.keep(1, 3600)
    assert await store.read("a") is None


@dataclass
class Clock:
    """Stands for the module `time`."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now


@each(["memory"])
async def test_memory_forgets_an_idle_conversation_and_keeps_an_active_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await place.open()
    store.keep(1000, 20)
    monkeypatch.setattr("serve_app.store.recent.time", clock := Clock())
    await take(store, "idle", 1)
    await take(store, "active", 1)
    clock.now = 15
    await take(store, "active", 2)
    clock.now = 25
    assert await store.read("idle") is None
    assert len((await conversation_in(store, "active")).exchanges) == 2
    clock.now = 36
    assert await store.read("active") is None


# --- what outlives the process -----------------------------------------------------------------------------


@each(SHARED)
async def test_a_conversation_goes_on_after_a_restart(place: Place) -> None:
    store = await place.open()
    await take(store, "a", 1, tokens=50)
    await store.close()
    again = await place.open()
    a = await conversation_in(again, "a")
    assert a.exchanges == (Exchange("fala 1", "resposta 1", "A2"),)
    assert (a.level, a.tokens) == ("A2", 50)


@each(SHARED)
async def test_a_turn_that_was_cut_off_leaves_what_was_said_and_spoken(place: Place) -> None:
    store, other = await place.open(), await place.open()
    await take(store, "a", 1, tokens=50)
    async with store.turn("a") as turn:
        turn.write(replace(said(2), state="running", reply="Que legal!", ended=None))
        await written(store)
        assert isinstance(other, SqlStore)
        found = await other.read("a")  # as another process sees it when this one is killed now
        assert found is not None
        assert [(one.transcript, one.reply, one.state) for one in found.turns][1:] == [
            ("fala 2", "Que legal!", "running")
        ]
    later = await conversation_in(other, "a")
    assert later.exchanges[-1] == Exchange("fala 2", "Que legal!", "A2")
    assert later.tokens > 50, "what nobody counted is estimated"


@each(SHARED)
async def test_a_turn_waits_for_one_on_another_replica_and_finds_what_it_left(place: Place) -> None:
    one, other = await place.open(), await place.open()
    order: list[str] = []

    async def first() -> None:
        async with one.turn("a") as turn:
            order.append("first begins")
            await asyncio.sleep(0.4)
            turn.write(said(1), turn.conversation.with_exchange(Exchange("fala 1", "resposta 1", "A2")))
            order.append("first ends")

    running = asyncio.create_task(first())
    await until(lambda: bool(order), 30, "the first turn")
    async with asyncio.timeout(30), other.turn("a") as turn:
        order.append("second begins")
        assert turn.conversation.utterances == ("fala 1",)
    await running
    assert order == ["first begins", "first ends", "second begins"]


@each(SHARED)
async def test_a_conversation_rested_too_long_is_deleted(place: Place) -> None:
    store = await place.open()
    await take(store, "a", 1)
    await store.close()
    place.keep_days = 1e-9
    again = await place.open()
    assert isinstance(again, SqlStore)
    async with asyncio.timeout(30):
        while await again.read("a") is not None:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.02)


@each(SHARED)
async def test_a_deleted_conversation_is_gone_on_the_other_replica_too(place: Place) -> None:
    one, other = await place.open(), await place.open()
    await take(one, "a", 1)
    await written(one)
    assert await other.delete("a")
    assert await conversation_in(one, "a") == Conversation("a")


@each(["postgresql"])
async def test_while_the_database_is_away_turns_go_on_and_are_written_when_it_is_back(
    place: Place, database: Postgres
) -> None:
    store = await place.open()
    await take(store, "a", 1)
    await written(store)
    database.stop()
    try:
        async with asyncio.timeout(30):
            await take(store, "a", 2)
            await take(store, "b", 3)
        assert (await conversation_in(store, "a")).utterances == ("fala 1", "fala 2")
        await until(lambda: not store.health().reachable, 30, "the loss to be noticed")
        assert store.health().unwritten == 2
        with pytest.raises(StoreUnavailable):
            await store.read("a")
        with pytest.raises(StoreUnavailable):
            await store.delete("a")
    finally:
        database.start()
    await until(lambda: store.health().reachable, 60, "the store to be back")
    await written(store)
    again = await place.open()
    assert (await conversation_in(again, "a")).utterances == ("fala 1", "fala 2")
    assert (await conversation_in(again, "b")).utterances == ("fala 3",)


@each(["postgresql"])
async def test_a_database_that_hangs_is_waited_for_once(place: Place, database: Postgres) -> None:
    store = await place.open()
    await take(store, "a", 1)
    await written(store)
    database.suspend()
    try:
        await take(store, "a", 2)
        assert not store.health().reachable
        async with asyncio.timeout(BEGIN_S):
            for number in range(3, 8):
                await take(store, "a", number)
    finally:
        database.resume()
    await until(lambda: store.health().reachable, 60, "the store to be back")
    await written(store)
    assert (await conversation_in(store, "a")).utterances == tuple(f"fala {n}" for n in range(1, 8))


@each(["postgresql"])
async def test_a_conversation_that_went_on_blindly_is_whole_again_when_the_database_is_back(
    place: Place, database: Postgres
) -> None:
    store = await place.open()
    await take(store, "a", 1)
    await written(store)
    after_a_restart = await place.open()
    database.stop()
    try:
        for number in (2, 3):
            await take(after_a_restart, "a", number)
    finally:
        database.start()
    await until(lambda: after_a_restart.health().reachable, 60, "the store to be back")
    await take(after_a_restart, "a", 4)
    await written(after_a_restart)
    for one in (after_a_restart, store):
        now = await conversation_in(one, "a")
        assert [exchange.learner for exchange in now.exchanges] == [f"fala {n}" for n in (1, 2, 3, 4)]


@each(["postgresql"])
async def test_a_database_that_was_started_again_is_not_missed(place: Place, database: Postgres) -> None:
    store = await place.open()
    await take(store, "a", 1)
    await written(store)
    database.stop()
    database.start()
    assert (await conversation_in(store, "a")).utterances == ("fala 1",)
    assert store.health().reachable


@each(SHARED)
async def test_what_the_database_refuses_keeps_nothing_else_from_being_written(place: Place) -> None:
    store = await place.open()
    async with store.turn("a") as turn:
        turn.write(said(1, transcript="zero \0 byte, \ud83d half a pair", reply="\0"))
    async with store.turn("c" * 1000) as turn:  # longer than any id that a route lets through
        turn.write(said(2))
    await take(store, "b", 3)
    await written(store)
    assert (await conversation_in(store, "b")).utterances == ("fala 3",)
    assert (await conversation_in(store, "a")).utterances == ("zero  byte, ? half a pair",)


@each(SHARED)
async def test_several_replicas_may_start_at_once(place: Place) -> None:
    stores = await asyncio.gather(*(place.open() for _ in range(4)))
    await take(stores[0], "a", 1)
    await written(stores[0])
    assert (await conversation_in(stores[3], "a")).utterances == ("fala 1",)


@each(SHARED)
async def test_the_migrations_make_the_tables_that_the_code_uses(place: Place) -> None:
    store = await place.open()
    assert isinstance(store, SqlStore)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))

    async with store.engine.begin() as connection:
        assert await connection.run_sync(differences) == []


@each(SHARED)
async def test_a_store_of_a_newer_version_is_refused_in_one_line(place: Place) -> None:
    store = await place.open()
    assert isinstance(store, SqlStore)
    async with store.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StackError, match="newer version of Parle"):
        await place.open()


HELD = """
import asyncio, sys
from dataclasses import replace
from serve_app.config.store import StoreSettings
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.kept import KeptTurn
from serve_app.store import statements
from serve_app.store.opening import open_store

async def main():
    statements.LEASE_S = 600.0  # nobody waits for it
    store = await open_store(StoreSettings.model_validate({"url": sys.argv[1]}), "", {})
    async with store.turn("a") as turn:
        turn.write(KeptTurn("t-1", 0.0, "fala 1", reply="Que legal!"))
        while store.health().unwritten:
            await asyncio.sleep(0.01)
        print("speaking", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""
"""A process that is in the middle of a turn."""


@each(SHARED)
async def test_a_process_killed_in_mid_turn_keeps_nobody_waiting_and_loses_no_word_it_spoke(place: Place) -> None:
    store = await place.open()
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", HELD, place.url, stdout=asyncio.subprocess.PIPE)
    assert other.stdout is not None
    assert await other.stdout.readline() == b"speaking\n"
    next_turn = asyncio.create_task(conversation_in(store, "a"))
    await asyncio.sleep(0.3)
    assert not next_turn.done(), "the other process has the conversation"
    other.kill()
    await other.wait()
    async with asyncio.timeout(60):  # whose process is dead, its lease is not waited for
        assert (await next_turn).exchanges == (Exchange("fala 1", "Que legal!"),)


@each(KINDS)
async def test_a_learner_is_kept_by_version_and_deleted(place: Place) -> None:
    store = (await place.open()).learners
    turn = store.begin("escola/ana")
    await turn.learn(Heard("t-1", time.time(), "Eu moro em Lyon."))
    store.end(turn, "A2")
    assert await store.flush(10)
    kept = await store.read("escola/ana")
    assert kept is not None
    assert [fact.text for fact in kept.facts] == ["Você mora em Lyon"]
    assert await store.read("ana") is None
    assert await store.delete("escola/ana") is True
    assert await store.delete("escola/ana") is False


@each(SHARED)
async def test_two_replicas_that_hear_one_learner_at_once_lose_nothing(place: Place) -> None:
    both = [(await place.open()).learners, (await place.open()).learners]
    said = ["Moro em Lyon.", "Tenho um gato.", "Sou professora.", "Tenho dois irmãos."]
    turns = [(both[number % 2], both[number % 2].begin("ana")) for number in range(len(said))]
    for number, (_, turn) in enumerate(turns):
        await turn.learn(Heard(f"t-{number}", time.time(), said[number]))
    for store, turn in turns:
        store.end(turn, None)
    for store in both:
        assert await store.flush(10)
    kept = await both[0].read("ana")
    assert kept is not None
    assert {fact.about for fact in kept.facts} == {"home", "pet:gato", "work", "family:irmãos"}


@each(SHARED)
async def test_a_learner_deleted_while_a_turn_runs_elsewhere_stays_deleted(place: Place) -> None:
    here, there = (await place.open()).learners, (await place.open()).learners
    for number in (1, 2):
        turn = here.begin("ana")
        await turn.learn(Heard(f"t-{number}", time.time(), "Moro em Lyon."))
        if number == 2:
            assert await there.delete("ana")
        here.end(turn, None)
        assert await here.flush(10)
    assert await there.read("ana") is None


@each(SHARED)
async def test_a_learner_who_rested_too_long_is_deleted(place: Place) -> None:
    place.keep_learners_days = 1.0
    turn = (store := (await place.open()).learners).begin("ana")
    await turn.learn(Heard("t-1", time.time() - 2 * 86400, "Moro em Lyon."))
    store.end(turn, None)
    assert await store.flush(10)
    again = (await place.open()).learners

    async with asyncio.timeout(30):
        while await again.read("ana") is not None:  # noqa: ASYNC110 - another task deletes it
            await asyncio.sleep(0.02)


@each(SHARED)
async def test_a_learner_outlives_conversations_that_rested_too_long(place: Place) -> None:
    store = await place.open()
    await take(store, "a", 1)
    turn = store.learners.begin("ana")
    await turn.learn(Heard("t-1", time.time(), "Moro em Lyon."))
    store.learners.end(turn, None)
    await store.close()
    place.keep_days = 1e-9
    again = await place.open()
    async with asyncio.timeout(30):
        while await again.read("a") is not None:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.02)
    assert isinstance(again, SqlStore)
    await again._expire()
    assert await again.learners.read("ana") is not None
