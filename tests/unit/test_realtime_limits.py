"""The Realtime protocol where something is too much, is cut off, or ends: nothing is lost, nobody else is disturbed."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from support import recorded
from support.containers import speech_like
from support.realtime import RealtimeTalk, kinds, one, realtime
from support.site_without_ray import Site, site_of
from support.waiting import wait_for
from websockets.exceptions import ConnectionClosed

from serve_app.routes.realtime.tape import SMALLEST, Tape

MANUAL = {"audio": {"input": {"turn_detection": None}}}


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    with site_of(limits={"max_audio_s": 2}) as running:
        yield running


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    shared.house.log.clear()
    yield shared
    shared.wait_until_idle()
    shared.house.stt.takes_s = shared.house.tts.part_s = shared.house.llm.word_s = 0.0


def say(talk: RealtimeTalk, seconds: float) -> str:
    """Sound that is committed, without detection: what came of it."""
    talk.append(speech_like(seconds, 24_000))
    talk.send("input_audio_buffer.commit")
    return talk.until("conversation.item.done", "error")[-1]["type"]


def typed(talk: RealtimeTalk, text: str, role: str = "user", kind: str = "input_text") -> dict[str, Any]:
    item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
    talk.send("conversation.item.create", item=item)
    return talk.until("conversation.item.done", "error")[-1]


def closed_with(talk: RealtimeTalk) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closing:
        talk.until("no event has this name")
    assert closing.value.rcvd is not None
    return closing.value.rcvd.code, closing.value.rcvd.reason


# --- too much -----------------------------------------------------------------------------------------------------


def test_sound_that_waits_for_an_answer_is_bounded_and_what_waits_is_answered(site: Site) -> None:
    with realtime(site.url) as talk:
        talk.send("session.update", session=MANUAL)
        assert say(talk, 1.5) == "conversation.item.done"
        assert say(talk, 1.5) == "error"
        talk.send("response.create")
        assert talk.until("response.done")[-1]["response"]["status"] == "completed"
        talk.send("input_audio_buffer.commit")
        assert talk.until("conversation.item.done", "error")[-1]["type"] == "conversation.item.done", "it was kept"


def test_an_item_of_more_sound_than_a_recording_may_have_is_refused(site: Site) -> None:
    sound = {"type": "input_audio", "audio": "AAAA" * (3 * 24_000 * 2 // 3)}
    with realtime(site.url) as talk:
        talk.send("conversation.item.create", item={"type": "message", "role": "user", "content": [sound]})
        assert talk.until("error", "conversation.item.done")[-1]["error"]["code"] == "input_audio_too_long"


def test_an_item_of_too_much_text_is_refused(site: Site) -> None:
    with realtime(site.url) as talk:
        assert typed(talk, "a" * 30_000, "system")["error"]["param"] == "item.content"


def test_a_frame_that_is_too_large_closes_that_connection_alone(site: Site) -> None:
    with realtime(site.url) as other, realtime(site.url) as talk:
        talk.connection.send("a" * (17 << 20))
        assert closed_with(talk)[0] == 1009
        assert other.ask("Oi!")[-1]["response"]["status"] == "completed"


def test_ten_thousand_events_at_once_are_each_answered_and_others_meanwhile(site: Site) -> None:
    with realtime(site.url) as other, realtime(site.url) as flood:
        for _ in range(10_000):
            flood.connection.send('{"type": "dance"}')
        assert other.ask("Oi!")[-1]["response"]["status"] == "completed"
        answers = [json.loads(flood.connection.recv(30)) for _ in range(10_000)]
    assert {answer["error"]["code"] for answer in answers} == {"unknown_event"}


def test_who_goes_in_the_middle_of_a_frame_leaves_nothing_behind(site: Site) -> None:
    with realtime(site.url) as talk:
        raw: socket.socket = talk.connection.socket
        raw.sendall(b"\x81\xfe\x10\x00mask{")
        raw.shutdown(socket.SHUT_RDWR)
        site.wait_for_sessions(0)
    with realtime(site.url) as talk:
        assert talk.ask("Oi!")[-1]["response"]["status"] == "completed"


def test_a_text_is_listed_as_openai_names_it_in_that_role(site: Site) -> None:
    with realtime(site.url) as talk:
        assert typed(talk, "Oi!", "assistant", "input_text")["item"]["content"][0]["type"] == "output_text"
        assert typed(talk, "Oi!", "system", "text")["item"]["content"][0]["type"] == "input_text"


# --- cut off ------------------------------------------------------------------------------------------------------


def test_what_was_not_heard_yet_when_the_answer_was_cancelled_is_answered_with_the_next(site: Site) -> None:
    site.house.stt.takes_s = 30.0
    with realtime(site.url) as talk:
        talk.send("session.update", session=MANUAL)
        say(talk, 0.5)
        talk.send("response.create")
        wait_for(lambda: site.house.stt.work.running == 1, 10, "the ears")
        talk.send("response.cancel")
        assert talk.until("response.done")[-1]["response"]["status"] == "cancelled"
        site.house.stt.takes_s = 0.0
        say(talk, 0.5)
        talk.send("response.create")
        events = talk.until("response.done")
    assert events[-1]["response"]["status"] == "completed"
    heard = [e for e in events if e["type"] == "conversation.item.input_audio_transcription.completed"]
    assert len({event["item_id"] for event in heard}) == 2


def test_what_a_full_server_refused_waits_for_the_next_answer() -> None:
    with site_of(limits={"max_turns": 1}) as small:
        small.house.llm.word_s = 0.04
        with realtime(small.url, "model=parle&session_id=depois") as late, realtime(small.url) as first:
            typed(first, "Oi!")
            first.send("response.create")
            first.until("response.created")
            wait_for(lambda: small.activity()["turns"] == 1, 10, "the first turn")
            assert late.ask("Eu moro em Recife.")[-1]["response"]["status"] == "failed"
            first.until("response.done")
            small.wait_until_idle()
            late.send("response.create")
            assert late.until("response.done")[-1]["response"]["status"] == "completed"
        [turn] = httpx.get(f"{small.url}/api/sessions/depois").json()["turns"]
    assert (turn["kind"], turn["transcript"]) == ("turn", "Eu moro em Recife.")


def test_who_is_cut_off_in_the_middle_of_an_answer_comes_back_to_what_was_said(site: Site) -> None:
    site.house.tts.part_s = site.house.llm.word_s = 0.05
    where = "model=parle&session_id=caiu"
    with realtime(site.url, where) as talk:
        typed(talk, "Eu moro em Recife.")
        talk.send("response.create")
        talk.until("response.output_audio.delta")
        talk.connection.socket.shutdown(socket.SHUT_RDWR)
        site.wait_for_sessions(0)
    site.wait_until_idle()
    with realtime(site.url, where) as talk:
        assert talk.ask("Oi de novo!")[-1]["response"]["status"] == "completed"
    first, second = httpx.get(f"{site.url}/api/sessions/caiu").json()["turns"]
    assert (first["transcript"], first["state"], second["state"]) == ("Eu moro em Recife.", "interrupted", "complete")
    assert site.house.llm.requests[-1].history[0].learner == "Eu moro em Recife."


# --- the end ------------------------------------------------------------------------------------------------------


def test_a_server_that_stops_lets_the_answer_end_and_closes_with_1012() -> None:
    with site_of() as stopping, realtime(stopping.url) as idle, realtime(stopping.url, "model=parle&parle=1") as talk:
        stopping.house.llm.word_s = 0.05
        typed(talk, "Oi!")
        talk.send("response.create")
        talk.until("response.output_item.added")
        stopping.stop()
        events = talk.until("response.done")
        assert events[-1]["response"]["status"] == "completed"
        assert one(events, "parle.stopping")["restart"] is True
        assert closed_with(talk) == (1012, "restarting")
        assert closed_with(idle) == (1012, "restarting")
        with pytest.raises(ConnectionClosed) as late, realtime(stopping.url):
            pass
        assert late.value.rcvd is not None
        assert late.value.rcvd.code == 1012


def test_a_server_without_a_place_for_the_connection_closes_with_1013() -> None:
    with site_of(limits={"max_sessions": 1}) as small, realtime(small.url):
        with pytest.raises(ConnectionClosed) as closed, realtime(small.url):
            pass
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013


def test_a_page_of_another_origin_does_not_get_in(site: Site) -> None:
    with pytest.raises(Exception, match="403"), realtime(site.url, origin="https://outra.example"):
        pass


def test_turns_and_refusals_are_counted_as_the_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = recorded.keep(monkeypatch)
    with site_of() as counted:
        with realtime(counted.url) as talk:
            assert kinds(talk.ask("Oi!"))[-1] == "response.done"
        counted.wait_until_idle()
    assert seen.one("parle_turns_total", route="realtime", outcome="complete") == 1


# --- the tape -----------------------------------------------------------------------------------------------------


def test_a_tape_keeps_what_was_not_forgotten_under_its_number() -> None:
    tape, whole = Tape(), np.arange(5 * SMALLEST, dtype=np.float32)
    for at in range(0, len(whole), 700):
        tape.add(whole[at : at + 700])
        tape.forget_before(at - 9000)
    assert tape.end == len(whole)
    assert len(tape) == tape.end - tape.first < 10_000
    assert np.array_equal(tape.cut(tape.first, tape.end), whole[tape.first :])
    assert np.array_equal(tape.cut(0, tape.first + 5), whole[tape.first : tape.first + 5])
    assert not tape.cut(tape.end, tape.end + 10).size
    tape.forget_before(tape.end + 10)
    assert (len(tape), tape.first) == (0, len(whole))
