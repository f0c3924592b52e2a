"""Recordings on their way in: a place before the body, a deadline and a least rate; nobody else has to wait."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack

import pytest
from starlette.types import Message
from support.clients import HalfSent, ask, post, refusal, talking
from support.known_speech import house_that_knows
from support.site_without_ray import Site, site_of
from support.speech import white_noise
from support.virtual_time import in_virtual_time

from serve_app.audio import wav
from serve_app.config.limits import Limits
from serve_app.errors import Busy, TooLarge, TooSlow
from serve_app.routes.gate import Client
from serve_app.routes.keep_alive import COMMENT, kept_alive
from serve_app.routes.places import Place, Places
from serve_app.routes.readiness import Readiness
from serve_app.routes.upload import Upload

RECORDING = wav(white_noise(1.0, rms=0.1), 16_000)
FORM = b'--XX\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'
LARGE = bytes(14_000_000)


@pytest.fixture
def site() -> Iterator[Site]:
    with site_of(house_that_knows({}), limits={"max_turns": 2, "upload_s": 3}) as site:
        yield site


def test_half_sent_uploads_leave_everything_else_working(site: Site) -> None:
    with ExitStack() as opened:
        stalled = [opened.enter_context(HalfSent(site.url, FORM)) for _ in range(200)]
        assert site.get("/healthz").status_code == site.get("/readyz").status_code == 200
        time.sleep(2.1)  # from then on they have to make room
        with talking(site.url) as talk:
            assert talk.ask(RECORDING).last.name == "complete"
        assert ask(site.url, RECORDING).last.name == "complete"
        answers = [one.answer() for one in stalled]
    assert {(status, body["code"]) for status, _, body in answers} == {(503, "busy"), (408, "too_slow")}
    assert all(int(headers["retry-after"]) >= 1 for _, headers, _ in answers)
    site.wait_until_idle()


async def test_who_loses_the_place_in_the_queue_need_not_upload_the_rest() -> None:
    places = Places(lambda: Limits(max_turns=1, max_waiting=1))
    upload = Upload(asyncio.Queue[Message]().get, Limits(), declared=None)
    greedy = Client(None, "192.0.2.1")

    async def receive(place: Place) -> None:
        with place.uploading(upload):
            await upload.receive()

    with places.take(greedy), places.take(greedy, wait=True) as place:
        receiving = asyncio.create_task(receive(place))
        await asyncio.sleep(0)
        with places.take(Client(None, "192.0.2.2"), wait=True), pytest.raises(Busy, match="took this place"):
            await receiving


def test_a_byte_now_and_then_does_not_keep_an_upload_alive(site: Site) -> None:
    with HalfSent(site.url, FORM) as dribble:
        begun = time.monotonic()
        answered = False
        while not answered and time.monotonic() - begun < 30:
            dribble.socket.sendall(b"x")
            time.sleep(0.1)
            dribble.socket.setblocking(False)
            try:
                answered = bool(dribble.socket.recv(1, socket.MSG_PEEK))
            except BlockingIOError:
                pass
            finally:
                dribble.socket.settimeout(10)
        status, headers, body = dribble.answer()
        assert dribble.socket.recv(1) == b""  # the server has closed the connection
    assert time.monotonic() - begun > 2.5  # limits.upload_s
    assert (status, body["code"], headers["connection"]) == (408, "too_slow", "close")
    assert "again" in body["message"]


def test_a_full_server_refuses_before_the_body_and_a_client_that_sends_it_all_the_same_is_told(site: Site) -> None:
    site.house.stt.takes_s = 30.0
    with ExitStack() as opened:
        for _ in range(2):
            talk = opened.enter_context(talking(site.url))
            talk.say(RECORDING)
            assert talk.next().name == "status"
        with HalfSent(site.url) as waiting:
            status, headers, body = waiting.answer()
            assert (status, body["code"]) == (503, "busy")
            assert int(headers["retry-after"]) >= 1
        answer = post(site.url, LARGE)
        assert refusal(answer) == (503, "busy")


def test_a_declared_size_over_the_limit_is_refused_before_the_body(site: Site) -> None:
    with HalfSent(site.url, length=20_000_000) as large:
        status, _, body = large.answer()
    assert (status, body["code"]) == (413, "too_large")


def arriving(*messages: tuple[float, bytes]) -> Callable[[], Awaitable[Message]]:
    """A `receive` that brings each message after its seconds, and then nothing more."""
    coming = iter(messages)

    async def receive() -> Message:
        after_s, body = next(coming, (60.0, b""))
        await asyncio.sleep(after_s)
        return {"type": "http.request", "body": body, "more_body": True}

    return receive


async def read(upload: Upload) -> None:
    while True:
        await upload.receive()


@pytest.mark.parametrize(
    ("messages", "limits", "ends_s"),
    [
        pytest.param([], {"upload_s": 0.1}, 0.1, id="nothing within the time"),
        pytest.param([(0.0, bytes(500_000))], {"upload_s": 0.3}, 0.3, id="fast, then not complete within the time"),
        pytest.param([(0.0, b"x")], {}, 0.2, id="a byte, then nothing, within the grace"),
        pytest.param([(0.1, bytes(100))] * 50, {"upload_kb_s": 2}, 0.2, id="slower than the least rate"),
        pytest.param([(0.05, bytes(200))] * 3, {"upload_kb_s": 1}, 0.6, id="as fast as the least rate, then nothing"),
    ],
)
@in_virtual_time
async def test_an_upload_ends_when_its_next_byte_is_overdue(
    messages: list[tuple[float, bytes]], limits: dict[str, float], ends_s: float
) -> None:
    clock = asyncio.get_running_loop().time
    begun = clock()
    with pytest.raises(TooSlow):
        await read(Upload(arriving(*messages), Limits.model_validate(limits), declared=None, grace_s=0.2))
    assert clock() - begun == pytest.approx(ends_s, abs=0.01)


async def test_a_body_that_outgrows_the_limit_ends_whatever_was_declared() -> None:
    upload = Upload(arriving(*[(0.0, bytes(100_000))] * 20), Limits(max_body_mb=1), declared=10)
    with pytest.raises(TooLarge):
        await read(upload)
    assert upload.received < 1_200_000


async def test_probes_share_one_question_to_the_stages_and_its_answer_holds_for_a_second() -> None:
    now, asked = 0.0, 0

    async def ask_stages() -> dict[str, bool]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        return {"stt": asked > 1}

    readiness = Readiness(ask_stages, lambda: now)
    assert await asyncio.gather(*(readiness.stages() for _ in range(150))) == [{"stt": False}] * 150
    now = 0.9
    assert await readiness.stages() == {"stt": False}
    now = 1.1
    assert await readiness.stages() == {"stt": True}
    assert asked == 2


@in_virtual_time
async def test_a_silent_event_stream_gets_comments_until_its_end() -> None:
    sent: list[bytes] = []

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))

    async with kept_alive(send, 0.05) as watched:
        await asyncio.sleep(0.12)
        assert sent == []  # the stream has not begun
        await watched({"type": "http.response.body", "body": b"one", "more_body": True})
        await asyncio.sleep(0.12)
        await watched({"type": "http.response.body", "body": b"two", "more_body": True})
        await watched({"type": "http.response.body", "body": b"", "more_body": False})
        await asyncio.sleep(0.12)
    assert sent == [b"one", COMMENT, COMMENT, b"two", b""]
