"""What a real server refuses, over HTTP and over the WebSocket, and that it goes on afterwards."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest
from support.clients import Answer, Talk, ask, asking, post, talking
from support.containers import encode_pieces
from support.servers import Server
from support.speech import Speaker, hum, silence, white_noise
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from serve_app.audio import wav

pytestmark = pytest.mark.server

TEXT_FILE = "Isto é um texto, não uma gravação.\n".encode() * 100
TOO_LARGE = bytes(15_200_000)  # the stack takes 15 MB


@pytest.fixture(scope="session")
def two_hours() -> bytes:
    """Two hours in 6 MB, far below the limit on bytes."""
    minute = np.zeros(60 * 8_000, np.float32)
    return encode_pieces("flac", "flac", 8_000, (minute for _ in range(120)))


@pytest.fixture(scope="module")
def question(speech: Speaker) -> bytes:
    return speech.recording("Onde fica o banheiro, por favor?")


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code; the body holds these two fields and nothing else."""
    body = answer.json()
    assert set(body) == {"code", "message"}
    assert len(body["message"]) > 10
    return answer.status_code, body["code"]


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
def test_http_refuses_what_is_no_recording(server: Server, recording: bytes, status: int, code: str) -> None:
    assert refusal(post(server.url, recording)) == (status, code)


def test_http_refuses_a_two_hour_recording(server: Server, two_hours: bytes) -> None:
    answer = post(server.url, two_hours)
    assert refusal(answer) == (413, "too_long")
    assert "7200" in answer.json()["message"]
    assert "60 s" in answer.json()["message"]


def test_http_refuses_a_form_without_a_recording(server: Server) -> None:
    url = f"{server.url}/api/stream-audio"
    assert refusal(httpx.post(url, files={"level": (None, "A1")})) == (400, "no_audio")
    assert refusal(httpx.post(url, files={"audio": (None, "text")})) == (400, "no_audio")
    assert refusal(httpx.post(url, json={"audio": "..."})) == (400, "no_audio")
    assert refusal(httpx.post(url, content=b"x", headers={"content-type": "audio/webm"})) == (400, "no_audio")
    assert refusal(httpx.post(url)) == (400, "no_audio")
    broken = {"content-type": "multipart/form-data; boundary=x"}
    assert refusal(httpx.post(url, content=b"no boundary here", headers=broken))[0] == 400


def test_http_refuses_two_recordings_in_one_form(server: Server, question: bytes) -> None:
    answer = httpx.post(f"{server.url}/api/stream-audio", files=[("audio", question), ("audio", question)])
    assert refusal(answer) == (422, "invalid_field")


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("level", "Z9", "A1"),
        ("speed", "fast", "speed"),
        ("speed", "9", "2"),
        ("voice", "robot", "pf_dora"),
        ("order", "random", "documented"),
        ("session_id", "not/allowed", "session_id"),
        ("sped", "1.0", "did you mean 'speed'"),
    ],
)
def test_http_refuses_a_wrong_field_and_names_what_would_be_right(
    server: Server, question: bytes, field: str, value: str, named: str
) -> None:
    answer = post(server.url, question, {field: value})
    assert refusal(answer) == (422, "invalid_field")
    assert named in answer.json()["message"]


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(silence(2), id="silence"),
        pytest.param(white_noise(2), id="noise"),
        pytest.param(hum(2), id="hum"),
    ],
)
def test_http_answers_a_recording_without_speech_with_an_event(server: Server, sound: Any) -> None:
    turn = ask(server.url, wav(sound, 16_000))
    assert turn.names == ["status stt", "error"]
    assert (turn.last.data["code"], turn.last.data["stage"]) == ("no_speech", "stt")


def test_http_answers_a_route_it_does_not_have_in_json(server: Server) -> None:
    assert refusal(httpx.get(f"{server.url}/v1/models")) == (404, "not_found")
    assert refusal(httpx.get(f"{server.url}/api/stream-audio"))[0] == 405


def test_http_takes_the_field_file_too_and_refusals_have_left_no_turn_behind(server: Server, question: bytes) -> None:
    server.wait_until_idle()
    with httpx.stream("POST", f"{server.url}/api/stream-audio", files={"file": question}, timeout=120) as answer:
        assert answer.status_code == 200
        assert next(answer.iter_lines()) == "event: status"
    server.wait_until_idle()


# --- WebSocket ---------------------------------------------------------------------------------------------


def error_of(turn: Answer) -> tuple[str, str]:
    assert set(turn.last.data) == {"code", "message", "stage"}
    return turn.last.data["code"], turn.last.data["stage"]


def test_a_websocket_outlives_every_bad_utterance_and_setting(
    server: Server, question: bytes, two_hours: bytes
) -> None:
    utterances = {
        "empty": (b"", "no_audio", "request"),
        "text": (TEXT_FILE, "bad_audio", "request"),
        "too large": (TOO_LARGE, "too_large", "request"),
        "two hours": (two_hours, "too_long", "request"),
        "silence": (wav(silence(2), 16_000), "no_speech", "stt"),
        "noise": (wav(white_noise(2), 16_000), "no_speech", "stt"),
    }
    messages: list[dict[str, Any] | str] = [
        *("not json", "[1]", {}, {"type": "dance"}, {"type": "settings", "level": "Z9"}),
        *({"type": "settings", "speed": 9}, {"type": "settings", "voice": "robot"}),
        *({"type": "settings", "levle": "A1"}, {"type": "settings", "session_id": "not/allowed"}),
    ]
    with talking(server.url) as talk:
        for name, (recording, code, stage) in utterances.items():
            assert error_of(talk.ask(recording)) == (code, stage), name
        for message in messages:
            talk.tell(message)
            assert error_of(talk.until("settings", "error")) == ("invalid_field", "request"), message
        assert talk.ask(question).last.name == "complete"


# --- full --------------------------------------------------------------------------------------------------


def test_a_full_server_says_when_to_come_back_and_disturbs_nobody(small_server: Server, question: bytes) -> None:
    """The small stack takes one turn at a time."""
    with asking(small_server.url, question) as events:
        first = [next(events)]
        answer = post(small_server.url, question)
        assert refusal(answer) == (503, "busy")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        first += events
    assert first[-1].name == "complete"
    assert ask(small_server.url, question).last.name == "complete"


def test_a_websocket_to_a_full_server_gets_an_error_and_lives_on(server: Server, question: bytes) -> None:
    places = server.info()["limits"]["max_turns"]
    with talking(server.url) as late:
        running = [talking(server.url) for _ in range(places)]
        talks: list[Talk] = []
        try:
            for opening in running:
                talk = opening.__enter__()
                talks.append(talk)
                talk.say(question)
                assert talk.next().name == "status"
            late.say(question)
            assert error_of(late.until("error")) == ("busy", "request")
            for talk in talks[1:]:
                talk.tell({"type": "cancel"})
            assert talks[0].until("complete", "error").last.name == "complete"
        finally:
            for opening in running[: len(talks)]:
                opening.__exit__(None, None, None)
        assert late.ask(question).last.name == "complete"


# --- another stack -----------------------------------------------------------------------------------------


def test_a_stack_without_the_websocket_refuses_the_handshake(small_server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(small_server.url.replace("http", "ws", 1) + "/ws/stream")
    assert refused.value.response.status_code == 403  # what HTTP has for a WebSocket closed before it was accepted


def test_the_limits_of_the_stack_file_hold(small_server: Server, speech: Speaker) -> None:
    """This one takes 8 s and 1 MB."""
    assert refusal(post(small_server.url, wav(silence(9), 16_000))) == (413, "too_long")
    assert refusal(post(small_server.url, bytes(1_200_000))) == (413, "too_large")
