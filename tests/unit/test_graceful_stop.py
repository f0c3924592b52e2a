"""The operator stops the server: running turns finish or are cut, and every client is told. No Ray."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from support.clients import Answer, Talk, ask, asking, post, refusal, talking
from support.lesson import conversation_in
from support.site_without_ray import Site, site_of
from support.stages import House
from support.waiting import wait_for
from websockets.exceptions import ConnectionClosed

from serve_app.audio import wav

RECORDING = wav(np.full(16_000, 0.1, np.float32), 16_000)
RESTARTING = (1012, "restarting")


@pytest.fixture
def site() -> Iterator[Site]:
    with site_of(slow_writer()) as site:
        yield site


def slow_writer(word_s: float = 0.1) -> House:
    house = House()
    house.llm.word_s = word_s
    return house


def closed_with(talk: Talk) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closing:
        talk.until("no event has this name")
    assert closing.value.rcvd is not None
    return closing.value.rcvd.code, closing.value.rcvd.reason


@contextmanager
def turn_over_sse(site: Site) -> Iterator[list[Answer]]:
    """A turn that runs; the list holds it once it has ended."""
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(ask(site.url, RECORDING)))
    thread.start()
    wait_for(lambda: site.house.llm.work.running == 1, 10, "the reply to begin")
    yield answers
    thread.join()


def test_running_turns_finish_over_either_way_and_then_the_websocket_is_closed_with_1012(site: Site) -> None:
    with talking(site.url) as talk, turn_over_sse(site) as answers:
        talk.say(RECORDING)
        wait_for(lambda: site.house.llm.work.running == 2, 10, "both replies")
        site.stop()
        turn = talk.until("complete", "error")
        [told] = turn.all("stopping")
        assert (told.data["in_s"], told.data["restart"]) == (20, True)
        assert turn.last.name == "complete"
        assert closed_with(talk) == RESTARTING
    assert answers[0].last.name == "complete"
    assert "stopping" not in answers[0].names
    wait_for(site.stopped, 10, "the end of the stop")


def test_a_connection_without_a_turn_is_told_and_closed_at_once(site: Site) -> None:
    with turn_over_sse(site), talking(site.url) as talk:
        site.wait_for_sessions(1)
        site.stop()
        assert talk.next().name == "stopping"
        assert closed_with(talk) == RESTARTING
        assert site.activity()["turns"] == 1, "closed before the turn of somebody else has ended"


def test_while_the_last_turns_run_nothing_new_begins(site: Site) -> None:
    site.house.llm.word_s = 0.2
    with turn_over_sse(site):
        site.stop()
        answer = post(site.url, RECORDING)
        assert refusal(answer) == (503, "stopping")
        assert int(answer.headers["retry-after"]) > 0
        with talking(site.url) as talk:
            error = talk.next()
            assert (error.name, error.data["code"]) == ("error", "stopping")
            assert closed_with(talk) == RESTARTING
        assert site.get("/healthz").status_code == 200
        assert site.get("/readyz").status_code == 503, "so that a balancer sends nobody here"
        assert 0 < site.activity()["stopping_in_s"] <= 20


def test_what_has_not_finished_in_time_is_cut_with_an_error_of_its_own() -> None:
    with (
        site_of(slow_writer(30), limits={"stop_s": 0.3}) as site,
        talking(site.url) as talk,
        asking(site.url, RECORDING, order="eager") as events,
    ):
        talk.say(RECORDING)
        wait_for(lambda: site.house.llm.work.running == 2, 10, "both replies")
        site.stop()
        over_sse, over_websocket = Answer(list(events)), talk.until("error")
        for turn in (over_sse, over_websocket):
            assert (turn.last.name, turn.last.data["code"]) == ("error", "stopping")
            assert set(turn.last.data) == {"code", "message", "stage"}
            assert "again" in turn.last.data["message"]
            assert turn.all("complete") == []
        assert closed_with(talk) == RESTARTING
        wait_for(lambda: site.house.running() == 0, 10, "the stages to be stopped")
        wait_for(site.stopped, 10, "the end of the stop")


def test_of_a_turn_that_was_cut_the_conversation_keeps_what_was_said() -> None:
    with site_of(slow_writer(30), limits={"stop_s": 0.1}) as site:
        with asking(site.url, RECORDING, session_id="aula") as events:
            next(events)
            wait_for(lambda: site.house.llm.work.running == 1, 10, "the reply")
            site.stop()
            list(events)
        conversation = site.run(site.store.read("aula"))
    assert conversation is not None
    assert [(turn.transcript, turn.error) for turn in conversation.turns] == [(site.house.stt.text, "stopping")]


def test_after_a_cut_a_new_server_has_the_whole_conversation(tmp_path: Path) -> None:
    kept = f"sqlite:///{tmp_path}/aula.sqlite3"
    with site_of(kept=kept, limits={"stop_s": 0.1}) as site:
        for _ in range(6):
            assert ask(site.url, RECORDING, session_id="aula").last.name == "complete"
        site.house.llm.word_s = 30
        with asking(site.url, RECORDING, session_id="aula") as events:
            next(events)
            wait_for(lambda: site.house.llm.work.running == 1, 10, "the reply")
            site.stop()
            list(events)
        wait_for(site.stopped, 10, "the end of the stop")
    with site_of(kept=kept) as again:
        conversation = again.run(again.store.read("aula"))
        now = again.run(conversation_in(again.store, "aula"))
    assert conversation is not None
    assert [(turn.state, turn.error) for turn in conversation.turns[5:]] == [
        ("complete", None),
        ("interrupted", "stopping"),
    ]
    assert [exchange.learner for exchange in now.exchanges] == [site.house.stt.text] * 7
    assert [exchange.tutor == "" for exchange in now.exchanges] == [False] * 6 + [True]


def test_the_stop_ends_when_everything_is_written_and_every_conversation_is_free(tmp_path: Path) -> None:
    path = tmp_path / "aula.sqlite3"
    with (
        site_of(slow_writer(30), kept=f"sqlite:///{path}", limits={"stop_s": 0.1}) as site,
        asking(site.url, RECORDING, session_id="aula") as events,
    ):
        next(events)
        wait_for(lambda: site.house.llm.work.running == 1, 10, "the reply")
        wait_for(lambda: site.store.health().unwritten == 0, 10, "the transcript to be written")
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")  # so that nobody else can write
            site.stop()
            list(events)
            release = threading.Timer(0.5, other.execute, ("ROLLBACK",))
            release.start()
            wait_for(site.stopped, 10, "the end of the stop")
            release.join()
            assert other.execute("SELECT state, error FROM turns").fetchall() == [("interrupted", "stopping")]
            assert other.execute("SELECT count(*) FROM leases").fetchone() == (0,)
        assert not any(name.startswith("store") for name in site.run(names_of_tasks()))


async def names_of_tasks() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks()]


def test_an_utterance_that_interrupts_the_last_turn_is_refused(site: Site) -> None:
    site.house.llm.word_s = 0.5
    with talking(site.url) as talk:
        talk.say(RECORDING)
        wait_for(lambda: site.house.llm.work.running == 1, 10, "the reply")
        site.stop()
        talk.say(RECORDING)
        turn = talk.until("error")
        assert "cancelled" in turn.names
        assert turn.last.data["code"] == "stopping"
        assert closed_with(talk) == RESTARTING


def test_without_a_turn_the_stop_is_done_at_once(site: Site) -> None:
    site.stop()
    wait_for(site.stopped, 10, "the end of the stop")
    assert refusal(post(site.url, RECORDING)) == (503, "stopping")
