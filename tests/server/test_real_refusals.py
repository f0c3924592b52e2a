"""What a real server refuses, a case of each kind: what passes through Serve's proxy and the real stages.

tests/unit/test_refusals.py has all of them over quick stages.
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from support.clients import PATIENCE_S, HalfSent, Talk, ask, asking, error_of, parse, post, refusal, talking
from support.servers import Server
from support.speech import Speaker, hum, silence, white_noise
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from serve_app.audio import wav

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def question(speech: Speaker) -> bytes:
    return speech.recording("Onde fica o banheiro, por favor?")


@pytest.mark.parametrize("sound", [pytest.param(white_noise(2), id="noise"), pytest.param(hum(2), id="hum")])
def test_http_answers_a_recording_of_noise_with_an_event(small_server: Server, sound: Any) -> None:
    turn = ask(small_server.url, wav(sound, 16_000))
    assert turn.names == ["status stt", "error"]
    assert error_of(turn) == ("no_speech", "stt")


def test_http_refusals_pass_the_proxy(small_server: Server, question: bytes) -> None:
    """The small stack takes 20 s and 8 MB."""
    assert refusal(post(small_server.url, b"")) == (400, "no_audio")
    assert refusal(post(small_server.url, question, {"voice": "robot"})) == (422, "invalid_field")
    assert refusal(post(small_server.url, wav(silence(21), 16_000))) == (413, "too_long")
    assert refusal(post(small_server.url, bytes(8_200_000))) == (413, "too_large")
    assert refusal(small_server.get("/api/models")) == (404, "not_found")


def test_a_websocket_outlives_what_is_no_speech_and_what_is_no_recording(small_server: Server) -> None:
    with talking(small_server.url) as talk:
        assert error_of(talk.ask(b"no recording")) == ("bad_audio", "request")
        assert error_of(talk.ask(wav(silence(2), 16_000))) == ("no_speech", "stt")
        assert error_of(talk.ask(bytes(8_200_000))) == ("too_large", "request")
        talk.tell({"type": "settings", "voice": "robot"})
        assert error_of(talk.until("settings", "error")) == ("invalid_field", "request")
        talk.tell({"type": "settings", "voice": "pm_alex"})
        assert talk.until("settings").last.data["voice"] == "pm_alex"


def test_a_foreign_page_is_refused_behind_the_proxy_too(small_server: Server, question: bytes) -> None:
    evil = {"origin": "https://evil.example"}
    assert refusal(httpx.post(f"{small_server.url}/api/stream-audio", files={"audio": question}, headers=evil)) == (
        *(403, "wrong_origin"),
    )
    assert refusal(httpx.get(small_server.url, headers={"host": "evil.example"})) == (403, "wrong_host")
    with pytest.raises(InvalidStatus) as refused, talking(small_server.url, **evil):
        pass
    assert refused.value.response.status_code == 403
    address = small_server.url.replace("http", "ws", 1) + "/ws/stream"
    with connect(address, origin=Origin(small_server.url), subprotocols=[Subprotocol("parle")]) as connection:
        assert connection.subprotocol == "parle"  # as a browser's token comes with it
        talk = Talk(connection)
        talk.tell({"type": "cancel"})
        assert talk.until("cancelled").last.name == "cancelled"


def test_headers_of_a_client_overrule_nothing_in_the_proxy(small_server: Server, question: bytes) -> None:
    headers = [
        *((b"x-request-timeout-seconds", b"0.001"), (b"x-request-disconnect-disabled", b"?1")),
        (b"x-request-id", b"\xe9"),
    ]
    url = f"{small_server.url}/api/stream-audio"
    answer = httpx.post(url, files={"audio": ("a", question)}, headers=headers, timeout=60)
    assert answer.status_code == 200
    assert answer.text.count("event: complete") == 1
    assert re.fullmatch(r"[0-9a-f-]{32,36}", answer.headers["x-request-id"])


@pytest.mark.parametrize("size", [9_000, 1_200_000])
def test_a_websocket_handshake_may_have_long_headers(small_server: Server, size: int) -> None:
    with talking(small_server.url, Cookie="a=" + size * "x") as talk:
        talk.tell({"type": "cancel"})
        assert talk.until("cancelled").last.name == "cancelled"


@pytest.mark.parametrize(("sent", "kept"), [(b"aula-7", True), (b"\xe9", False), (b"a" * 5_000, False)])
def test_a_request_id_that_is_no_plain_name_is_replaced(small_server: Server, sent: bytes, kept: bool) -> None:
    answer = httpx.get(f"{small_server.url}/healthz", headers={b"x-request-id": sent}, timeout=30)
    assert answer.status_code == 200
    assert (answer.headers["x-request-id"].encode() == sent) is kept
    assert len(answer.headers["x-request-id"]) <= 64


def test_a_client_cannot_have_its_turn_cut_by_the_proxy(small_server: Server, question: bytes) -> None:
    headers = {"x-request-timeout-seconds": "0.3"}
    files = {"audio": ("a.wav", question)}
    answer = httpx.post(f"{small_server.url}/api/stream-audio", files=files, headers=headers, timeout=PATIENCE_S)
    assert [event.name for event in parse(iter(answer.text.split("\n")[:-1]))][-1] == "complete"


def test_half_sent_uploads_leave_the_server_working(small_server: Server, question: bytes) -> None:
    with ExitStack() as opened:
        for _ in range(300):
            opened.enter_context(HalfSent(small_server.url, b"--XX\r\n"))
        assert small_server.get("/healthz").status_code == small_server.get("/readyz").status_code == 200
        time.sleep(2.1)  # from then on they have to make room
        with talking(small_server.url) as talk:
            assert talk.ask(question).last.name == "complete"


def test_a_full_server_refuses_over_either_route_and_disturbs_nobody(small_server: Server, question: bytes) -> None:
    places = small_server.info()["limits"]["max_turns"]
    small_server.wait_until_idle()
    with ExitStack() as opened:
        late = opened.enter_context(talking(small_server.url))
        talks = [opened.enter_context(talking(small_server.url)) for _ in range(places - 1)]
        events = opened.enter_context(asking(small_server.url, question))
        assert next(events).name == "status"
        for talk in talks:
            talk.say(question)
            assert talk.next().name == "status"
        answer = post(small_server.url, question)
        assert refusal(answer) == (503, "busy")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        late.say(question)
        assert error_of(late.until("error")) == ("busy", "request")
        for talk in talks:
            talk.tell({"type": "cancel"})
        assert [event.name for event in events][-1] == "complete"
        assert late.ask(question).last.name == "complete"
