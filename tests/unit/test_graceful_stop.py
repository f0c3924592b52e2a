"""The operator stops the server: running turns finish or are cut, and every client is told. No Ray."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from support.clients import Answer, Talk, ask, asking, post, refusal, talking
from support.lesson import conversation_in
from support.site_without_ray import Site, site_of
from support.stages import House
from support.waiting import wait_for
from websockets.exceptions import ConnectionClosed

from serve_app.audio import wav
from serve_app.config.user_config import IngressSettings
from serve_app.errors import StackError

RECORDING = wav(np.full(16_000, 0.1, np.float32), 16_000)
RESTARTING = (1012, "restarting")


@pytest.fixture
def site() -> Iterator[Site]:
    with site_of(slow_writer()) as site:
        yield site


def slow_writer(word_s: float = 0.01) -> House:
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
    with site.house.slow_replies():
        thread.start()
        wait_for(lambda: site.house.llm.work.running == 1, 30, "the reply to begin")
        yield answers
    thread.join()


def test_running_turns_finish_over_either_way_and_then_the_websocket_is_closed_with_1012(site: Site) -> None:
    with talking(site.url) as talk, turn_over_sse(site) as answers:
        talk.say(RECORDING)
        wait_for(lambda: site.house.llm.work.running == 2, 30, "both replies")
        site.stop()
        site.house.llm.word_s = 0.01
        turn = talk.until("complete", "error")
        [told] = turn.all("stopping")
        assert (told.data["in_s"], told.data["restart"]) == (20, True)
        assert turn.last.name == "complete"
        assert closed_with(talk) == RESTARTING
    assert answers[0].last.name == "complete"
    assert "stopping" not in answers[0].names
    wait_for(site.stopped, 30, "the end of the stop")


def test_a_connection_without_a_turn_is_told_and_closed_at_once(site: Site) -> None:
    with turn_over_sse(site), talking(site.url) as talk:
        site.wait_for_sessions(1)
        site.stop()
        assert talk.next().name == "stopping"
        assert closed_with(talk) == RESTARTING
        assert site.activity()["turns"] == 1, "closed before the turn of somebody else has ended"


def test_while_the_last_turns_run_nothing_new_begins(site: Site) -> None:
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
        wait_for(lambda: site.house.llm.work.running == 2, 30, "both replies")
        site.stop()
        over_sse, over_websocket = Answer(list(events)), talk.until("error")
        for turn in (over_sse, over_websocket):
            assert (turn.last.name, turn.last.data["code"]) == ("error", "stopping")
            assert set(turn.last.data) == {"code", "message", "stage"}
            assert "again" in turn.last.data["message"]
            assert turn.all("complete") == []
        assert closed_with(talk) == RESTARTING
        wait_for(lambda: site.house.running() == 0, 30, "the stages to be stopped")
        wait_for(site.stopped, 30, "the end of the stop")


SINGLE: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"json": {"messages": [{"role": "user", "content": "Oi!"}]}},
    "/v1/audio/speech": {"json": {"input": "Oi, bom dia."}},
    "/v1/audio/transcriptions": {"files": {"file": ("a.wav", RECORDING)}},
    "/api/pronunciation": {"files": {"audio": ("a.wav", RECORDING)}, "data": {"text": "Eu comi."}},
}


@pytest.mark.parametrize("path", SINGLE)
def test_a_single_call_that_has_not_finished_in_time_is_cut_as_well(path: str) -> None:
    house = slow_writer(60)
    house.stt.takes_s = house.tts.part_s = 60
    with site_of(house, limits={"stop_s": 0.1}) as site, ThreadPoolExecutor() as pool:
        asked = pool.submit(httpx.post, site.url + path, timeout=30, **SINGLE[path])
        wait_for(lambda: house.running() == 1, 30, "the call")
        site.stop()
        answer = asked.result()
        error = answer.json()["error"] if path.startswith("/v1") else answer.json()
        assert (answer.status_code, error["code"]) == (503, "stopping")
        assert int(answer.headers["retry-after"]) > 0
        wait_for(lambda: house.running() == 0, 30, "the stage to be stopped")
        wait_for(site.stopped, 30, "the end of the stop")


@pytest.mark.parametrize(
    ("path", "more"), [("/v1/chat/completions", {"stream": True}), ("/v1/audio/speech", {"stream_format": "sse"})]
)
def test_of_a_single_call_that_has_begun_to_answer_the_last_event_says_that_it_was_cut(
    path: str, more: dict[str, Any]
) -> None:
    house = slow_writer()
    house.tts.parts = 1000
    house.tts.part_s = 0.1
    house.llm.reply_text = "bom " * 1000
    with (
        site_of(house, limits={"stop_s": 0.1, "chat_tokens": 1000}) as site,
        httpx.stream("POST", site.url + path, json={**SINGLE[path]["json"], **more}, timeout=30) as answer,
    ):
        events = (line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: "))
        next(events)
        wait_for(lambda: house.made() > 1, 30, "the answer to begin")
        site.stop()
        assert json.loads(list(events)[-1])["error"]["code"] == "stopping"
        wait_for(site.stopped, 30, "the end of the stop")


def test_a_running_server_takes_no_longer_stop_than_serve_waits_for(site: Site) -> None:
    async def configure(stop_s: float) -> None:
        site.lessons.configure(IngressSettings(limits={"stop_s": stop_s, "max_turns": 3}))

    with pytest.raises(StackError) as refused:
        site.run(configure(60))
    assert refused.value.message == (
        "user_config: limits.stop_s: at most the 20 s of args.limits.stop_s; raise it there"
    )
    assert (site.lessons.limits.stop_s, site.lessons.limits.max_turns) == (20, 8)
    site.run(configure(5))
    assert (site.lessons.limits.stop_s, site.lessons.limits.max_turns) == (5, 3)


def test_of_a_turn_that_was_cut_the_conversation_keeps_what_was_said() -> None:
    with site_of(slow_writer(30), limits={"stop_s": 0.1}) as site:
        with asking(site.url, RECORDING, session_id="aula") as events:
            next(events)
            wait_for(lambda: site.house.llm.work.running == 1, 30, "the reply")
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
            wait_for(lambda: site.house.llm.work.running == 1, 30, "the reply")
            site.stop()
            list(events)
        wait_for(site.stopped, 30, "the end of the stop")
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
        wait_for(lambda: site.house.llm.work.running == 1, 30, "the reply")
        wait_for(lambda: site.store.health().unwritten == 0, 30, "the transcript to be written")
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")  # so that nobody else can write
            site.stop()
            list(events)
            release = threading.Timer(0.5, other.execute, ("ROLLBACK",))
            release.start()
            wait_for(site.stopped, 30, "the end of the stop")
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
        wait_for(lambda: site.house.llm.work.running == 1, 30, "the reply")
        site.stop()
        talk.say(RECORDING)
        turn = talk.until("error")
        assert "cancelled" in turn.names
        assert turn.last.data["code"] == "stopping"
        assert closed_with(talk) == RESTARTING


def test_without_a_turn_the_stop_is_done_at_once(site: Site) -> None:
    site.stop()
    wait_for(site.stopped, 30, "the end of the stop")
    assert refusal(post(site.url, RECORDING)) == (503, "stopping")
