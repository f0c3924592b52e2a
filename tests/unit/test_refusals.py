"""What the routes refuse; tests/server/test_real_refusals.py has a case of each kind over a real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import numpy as np
import pytest
from support.clients import Talk, ask, asking, error_of, post, refusal, talking
from support.containers import encode_pieces
from support.known_speech import house_that_knows
from support.site_without_ray import Site, site_of
from support.speech import silence, white_noise
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from serve_app.audio import wav

TEXT_FILE = "Isto é um texto, não uma gravação.\n".encode() * 100
TOO_LARGE = bytes(15_200_000)  # the stack takes 15 MB


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with site_of(house_that_knows({})) as site:
        yield site


@pytest.fixture(scope="module")
def two_hours() -> bytes:
    """Two hours in 6 MB, far below the limit on bytes."""
    minute = np.zeros(60 * 8_000, np.float32)
    return encode_pieces("flac", "flac", 8_000, (minute for _ in range(120)))


@pytest.fixture(scope="module")
def question() -> bytes:
    return wav(white_noise(1.0, rms=0.1), 16_000)


# --- HTTP --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recording", "status", "code"),
    [
        pytest.param(b"", 400, "no_audio", id="empty"),
        pytest.param(TEXT_FILE, 400, "bad_audio", id="text"),
        pytest.param(wav(silence(0), 16_000), 400, "bad_audio", id="no-samples"),
        pytest.param(TOO_LARGE, 413, "too_large", id="too-large"),
    ],
)
def test_http_refuses_what_is_no_recording(site: Site, recording: bytes, status: int, code: str) -> None:
    assert refusal(post(site.url, recording)) == (status, code)


def test_http_refuses_a_two_hour_recording(site: Site, two_hours: bytes) -> None:
    answer = post(site.url, two_hours)
    assert refusal(answer) == (413, "too_long")
    assert "7200" in answer.json()["message"]
    assert "60 s" in answer.json()["message"]


def test_http_refuses_a_form_without_a_recording(site: Site) -> None:
    url = f"{site.url}/api/stream-audio"
    assert refusal(httpx.post(url, files={"level": (None, "A1")})) == (400, "no_audio")
    assert refusal(httpx.post(url, files={"audio": (None, "text")})) == (400, "no_audio")
    assert refusal(httpx.post(url, json={"audio": "..."})) == (400, "no_audio")
    assert refusal(httpx.post(url, content=b"x", headers={"content-type": "audio/webm"})) == (400, "no_audio")
    assert refusal(httpx.post(url)) == (400, "no_audio")
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert refusal(httpx.post(url, content=b"no boundary here", headers=broken))[0] == 400


def test_http_refuses_two_recordings_in_one_form(site: Site, question: bytes) -> None:
    answer = httpx.post(f"{site.url}/api/stream-audio", files=[("audio", question), ("audio", question)])
    assert refusal(answer) == (422, "invalid_field")


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("level", "Z9", "A1"),
        ("speed", "fast", "speed"),
        ("speed", "9", "2"),
        ("correction", "recats", "did you mean 'recast'"),
        ("voice", "robot", "pf_dora"),
        ("order", "random", "documented"),
        ("session_id", "not/allowed", "session_id"),
        ("sped", "1.0", "did you mean 'speed'"),
        pytest.param("voice", "x" * 900_000, "pf_dora", id="voice of .9 MB"),
        pytest.param("x" * 3_000, "1", "known: session_id", id="field name of 3 kB"),
    ],
)
def test_http_refuses_a_wrong_field_and_names_what_would_be_right(
    site: Site, question: bytes, field: str, value: str, named: str
) -> None:
    answer = post(site.url, question, {field: value})
    assert refusal(answer) == (422, "invalid_field")
    assert named in answer.json()["message"]
    assert len(answer.content) < 500


def test_http_answers_a_route_it_does_not_have_in_json(site: Site) -> None:
    assert refusal(httpx.get(f"{site.url}/api/models")) == (404, "not_found")
    assert refusal(httpx.get(f"{site.url}/api/stream-audio"))[0] == 405


def test_http_takes_the_field_file_too_and_refusals_have_left_no_turn_behind(site: Site, question: bytes) -> None:
    site.wait_until_idle()
    with httpx.stream("POST", f"{site.url}/api/stream-audio", files={"file": question}, timeout=120) as answer:
        assert answer.status_code == 200
        assert next(answer.iter_lines()) == "event: status"
    site.wait_until_idle()


def test_http_answers_a_recording_without_speech_with_an_event(site: Site) -> None:
    turn = ask(site.url, wav(silence(2), 16_000))
    assert turn.names == ["status stt", "error"]
    assert (turn.last.data["code"], turn.last.data["stage"]) == ("no_speech", "stt")


# --- WebSocket ---------------------------------------------------------------------------------------------


def test_a_websocket_outlives_every_bad_utterance_and_setting(site: Site, question: bytes, two_hours: bytes) -> None:
    utterances = {
        "empty": (b"", "no_audio", "request"),
        "text": (TEXT_FILE, "bad_audio", "request"),
        "too large": (TOO_LARGE, "too_large", "request"),
        "two hours": (two_hours, "too_long", "request"),
        "silence": (wav(silence(2), 16_000), "no_speech", "stt"),
    }
    messages: list[dict[str, Any] | str] = [
        *("not json", "[1]", {}, {"type": "dance"}, {"type": "settings", "level": "Z9"}),
        *({"type": "settings", "speed": 9}, {"type": "settings", "voice": "robot"}),
        *({"type": "settings", "levle": "A1"}, {"type": "settings", "session_id": "not/allowed"}),
        *("[" * 9_000, '{"type": ' + "[" * 400 + "]" * 400 + "}", {"type": "settings", "voice": "x" * 900_000}),
        *({"type": "settings", "voice": "\ud800"}, {"type": "settings", "\ud800": "A1"}, {"type": "\ud800"}),
        *({"type": "settings", "correction": "\ud800"}, {"type": "settings", "session_id": "\ud800"}),
        *({"type": "settings", "level": "\ud800"}, {"type": "settings", "voice": {"name": "x"}}),
    ]
    with talking(site.url) as talk:
        for name, (recording, code, stage) in utterances.items():
            assert error_of(talk.ask(recording)) == (code, stage), name
        for message in messages:
            talk.tell(message)
            refused = talk.until("settings", "error")
            assert error_of(refused) == ("invalid_field", "request"), message
            assert len(refused.last.data["message"]) < 500, message
        assert talk.ask(question).last.name == "complete"


# --- full --------------------------------------------------------------------------------------------------


def test_a_full_server_says_when_to_come_back_and_disturbs_nobody(question: bytes) -> None:
    with site_of(house_that_knows({}), limits={"max_turns": 1}) as site:
        with asking(site.url, question) as events:
            with site.house.slow_replies():
                first = [next(events)]
                answer = post(site.url, question)
                assert refusal(answer) == (503, "busy")
                assert 1 <= int(answer.headers["retry-after"]) <= 60
            first += events
        assert first[-1].name == "complete"
        assert ask(site.url, question).last.name == "complete"


def test_a_websocket_to_a_full_server_gets_an_error_and_lives_on(question: bytes) -> None:
    with site_of(house_that_knows({}), limits={"max_turns": 2}) as site, ExitStack() as opened:
        slow = ExitStack()
        slow.enter_context(site.house.slow_replies())
        late, one, other = (opened.enter_context(talking(site.url)) for _ in range(3))
        for talk in (one, other):
            talk.say(question)
            assert talk.next().name == "status"
        late.say(question)
        assert error_of(late.until("error")) == ("busy", "request")
        slow.close()
        other.tell({"type": "cancel"})
        assert one.until("complete", "error").last.name == "complete"
        assert late.ask(question).last.name == "complete"


def test_one_connection_too_many_is_told_so_and_closed(question: bytes) -> None:
    with site_of(limits={"max_sessions": 1}) as site:
        with talking(site.url) as first:
            site.wait_for_sessions(1)
            with talking(site.url) as late:
                assert error_of(late.until("error")) == ("busy", "request")
                assert closing_of(late) == (1013, "full")
            assert first.ask(question).last.name == "complete"
        site.wait_for_sessions(0)
        with talking(site.url) as now:
            assert now.ask(question).last.name == "complete"


def closing_of(talk: Talk) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closing:
        talk.next()
    assert closing.value.rcvd is not None
    return closing.value.rcvd.code, closing.value.rcvd.reason


# --- another stack -----------------------------------------------------------------------------------------


def test_a_stack_without_the_websocket_refuses_the_handshake() -> None:
    with site_of(routes=["sse"]) as site, pytest.raises(InvalidStatus) as refused:
        connect(site.url.replace("http", "ws", 1) + "/ws/stream")
    assert refused.value.response.status_code == 403  # what HTTP has for a WebSocket closed before it was accepted


def test_the_limits_of_the_stack_file_hold() -> None:
    with site_of(limits={"max_audio_s": 8, "max_body_mb": 1}) as site:
        assert refusal(post(site.url, wav(silence(9), 16_000))) == (413, "too_long")
        assert refusal(post(site.url, bytes(1_200_000))) == (413, "too_large")
