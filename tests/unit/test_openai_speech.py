"""POST /v1/audio/speech through OpenAI's SDK, over stages without models."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import av
import httpx
import numpy as np
import pytest
from httpx_sse import connect_sse
from openai import BadRequestError, NotFoundError, OpenAI
from support.clients import asked
from support.openai_sdk import checked, fault, sdk
from support.site_without_ray import Site, site_of
from support.stages import House, Voice
from support.waiting import wait_for

from serve_app.errors import StageFailed
from serve_app.protocols import Audio, Speech
from serve_app.routes.openai_speech import file_of
from serve_app.routes.speech_formats import FORMATS, SpeechEncoder, SpeechFormat

TEXT = "Bom dia, tudo bem? Hoje vamos falar de comida. O que você comeu ontem à noite no restaurante da praça?"
RATE = 24_000


def tone(seconds: float, rate: int = RATE) -> Audio:
    return np.float32(0.3) * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate, dtype=np.float32)


def decoded(data: bytes, name: str) -> Audio:
    """As a player would, at 24 kHz; PCM as OpenAI describes it."""
    if name == "pcm":
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32767)
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(io.BytesIO(data), "r") as container:
        frames = [one for frame in container.decode(audio=0) for one in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames], dtype=np.float32)


@pytest.fixture
def site() -> Iterator[Site]:
    with site_of() as site:
        yield site


@pytest.fixture(scope="module")
def whole() -> Iterator[Site]:
    """A site that no test harms."""
    with site_of() as site:
        yield site


@pytest.fixture
def client(site: Site) -> OpenAI:
    return sdk(site.url)


# --- the formats -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_holds_all_of_the_speech_and_its_pitch(name: SpeechFormat) -> None:
    encoder = SpeechEncoder(name)
    data = b"".join(encoder.encode(Speech(tone(0.7), RATE)) for _ in range(4)) + encoder.finish()
    heard = decoded(data, name)
    assert 2.75 <= len(heard) / RATE <= 2.95
    spectrum = np.abs(np.fft.rfft(heard[RATE // 2 : RATE]))
    assert abs(np.argmax(spectrum) * 2 - 440) <= 2  # bins of 2 Hz
    assert 0.15 < float(np.sqrt(np.mean(heard**2))) < 0.25


@pytest.mark.parametrize("name", FORMATS)
def test_the_first_bytes_are_there_with_the_first_piece(name: SpeechFormat) -> None:
    encoder = SpeechEncoder(name)
    first = encoder.encode(Speech(tone(0.5), RATE))
    heard = decoded(first, name)  # without its end
    assert len(heard) / RATE > 0.2
    encoder.close()


@pytest.mark.parametrize("name", FORMATS)
def test_no_speech_is_a_file_without_speech(name: SpeechFormat) -> None:
    encoder = SpeechEncoder(name)
    encoder.encode(Speech(np.zeros(0, np.float32), RATE))
    assert len(encoder.finish()) < 9000  # FLAC has 8 kB of padding for tags


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_voice_of_another_rate_keeps_its_pitch(rate: int) -> None:
    encoder = SpeechEncoder("pcm")
    pieces = [encoder.encode(Speech(tone(0.5, rate), rate)) for _ in range(3)]
    heard = decoded(b"".join(pieces) + encoder.finish(), "pcm")
    assert 1.4 < len(heard) / RATE < 1.55
    assert abs(np.argmax(np.abs(np.fft.rfft(heard[: RATE // 2]))) * 2 - 440) <= 2


# --- the route ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_a_text_is_spoken_in_the_format_that_was_asked_for(site: Site, client: OpenAI, name: SpeechFormat) -> None:
    answer = client.audio.speech.create(model="tts-1", voice="pf_dora", input=TEXT, response_format=name)
    heard = decoded(answer.content, name)
    pieces = [text for text, _, _ in site.house.tts.asked]
    assert "".join(pieces).replace(" ", "") == TEXT.replace(" ", "")
    assert len(pieces[0]) < 20  # a short one first
    assert abs(len(heard) / RATE - 0.1 * len(pieces)) < 0.1
    kinds = {"mp3": "audio/mpeg", "opus": "audio/ogg", "wav": "audio/wav", "pcm": "audio/pcm"}
    assert answer.response.headers["content-type"] == kinds.get(name, f"audio/{name}")


def test_mp3_is_the_default_and_voice_and_speed_reach_the_stage(site: Site, client: OpenAI) -> None:
    answer = client.audio.speech.create(model="tts-1", voice="pm_alex", input="Oi, bom dia.", speed=0.7)
    assert answer.response.headers["content-type"] == "audio/mpeg"
    client.audio.speech.create(model="wheel:kokoro-82m", voice={"id": "pm_santa"}, input="Oi, bom dia.")
    client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="Oi, bom dia.", instructions="")
    assert [(voice, speed) for _, voice, speed in site.house.tts.asked] == [
        ("pm_alex", 0.7),
        ("pm_santa", None),
        (None, None),  # a voice of OpenAI's: the stack's own
    ]


def test_events_carry_the_same_file_in_parts(site: Site) -> None:
    body = {"model": "tts-1", "input": TEXT, "response_format": "pcm", "stream_format": "sse"}
    with (
        httpx.Client(timeout=30) as http,
        connect_sse(http, "POST", f"{site.url}/v1/audio/speech", json=body) as source,
    ):
        events = [json.loads(event.data) for event in source.iter_sse()]
    *deltas, done = events
    assert len(deltas) >= 3
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    assert set(done) == {"type", "usage"}
    assert done["type"] == "speech.audio.done"
    audio = b"".join(base64.b64decode(event["audio"], validate=True) for event in deltas)
    assert len(decoded(audio, "pcm")) == RATE // 10 * len(deltas)


class Breathless(Voice):
    """Says half a second and then nothing more."""

    async def synthesize(
        self, text: str, voice: str | None, speed: float | None, level_speed: float = 1.0, slack_s: float = 0.0
    ) -> AsyncGenerator[Speech, None]:
        with self.work.at_work():
            yield Speech(tone(0.5), RATE)
            await asyncio.Event().wait()


@pytest.mark.parametrize("name", FORMATS)
def test_the_first_piece_leaves_while_the_rest_is_still_being_made(name: SpeechFormat) -> None:
    house = House()
    house.tts = Breathless(house.tts.work)
    with site_of(house) as site:
        body = {"input": TEXT, "response_format": name}
        with httpx.stream("POST", f"{site.url}/v1/audio/speech", json=body, timeout=30) as answer:
            first, parts = b"", answer.iter_raw()
            while len(first) < 1000:
                first += next(parts)
            assert house.tts.work.running == 1
        site.wait_until_idle()
    assert house.tts.work.stopped == 1
    assert len(decoded(first, name)) / RATE > 0.02


@pytest.mark.parametrize("streams", ["audio", "sse"])
def test_a_client_that_hangs_up_stops_the_voice(streams: str) -> None:
    house = House()
    house.tts.part_s = 0.2
    with site_of(house, limits={"max_turns": 1}) as site:
        body = {"input": TEXT * 20, "stream_format": streams, "response_format": "pcm"}
        with httpx.stream("POST", f"{site.url}/v1/audio/speech", json=body) as answer:
            next(answer.iter_raw())
        site.wait_until_idle()
        assert house.tts.work.stopped == 1
        # and its place is free
        assert httpx.post(f"{site.url}/v1/audio/speech", json={"input": "Oi, bom dia."}).status_code == 200


def test_a_client_that_hangs_up_before_the_first_piece_stops_the_voice() -> None:
    house = House()
    house.tts.part_s = 30
    with site_of(house) as site:
        with asked(site.url, "/v1/audio/speech", {"input": TEXT}):
            wait_for(lambda: house.tts.work.running == 1, 30, "the voice to begin")
        site.wait_until_idle()
    assert house.tts.work.stopped == 1


def test_a_voice_that_fails_at_once_is_an_http_error(site: Site) -> None:
    site.house.tts.work.fails_with = StageFailed("The voice is hoarse.", stage="tts")
    answer = httpx.post(f"{site.url}/v1/audio/speech", json={"input": TEXT})
    assert answer.status_code == 500
    assert checked(answer)["message"] == "The voice is hoarse."


def test_a_voice_that_fails_in_the_middle_does_not_pass_for_a_whole_answer(site: Site) -> None:
    site.house.tts.work.fails_with = StageFailed("The voice is hoarse.", stage="tts")
    site.house.tts.work.fails_after = 1
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{site.url}/v1/audio/speech", json={"input": TEXT, "response_format": "pcm"})
    site.house.tts.work.made = 0
    events = httpx.post(f"{site.url}/v1/audio/speech", json={"input": TEXT, "stream_format": "sse"}).text
    last = json.loads(events.strip().splitlines()[-1].removeprefix("data: "))
    assert last["error"]["message"] == "The voice is hoarse."
    assert "speech.audio.done" not in events


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"voice": "dora"}, "invalid_value", "voice"),
        ({"voice": {"name": "x"}}, "invalid_value", "voice"),
        ({"speed": 3.0}, "invalid_value", "speed"),
        ({"speed": 0.25}, "invalid_value", "speed"),
        ({"speed": "fast"}, "invalid_value", "speed"),
        ({"input": ""}, "invalid_value", "input"),
        ({"input": "x" * 4097}, "invalid_value", "input"),
        ({"input": "... *** \n"}, "invalid_field", "input"),
        ({"input": 5}, "invalid_value", "input"),
        ({"response_format": "ogg"}, "invalid_value", "response_format"),
        ({"stream_format": "chunks"}, "invalid_value", "stream_format"),
        ({"instructions": "Speak like a pirate."}, "unsupported_parameter", "instructions"),
        ({"pitch": 2}, "unknown_parameter", "pitch"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(whole: Site, fields: dict[str, Any], code: str, param: str) -> None:
    wanted = {"voice": "pf_dora", "input": "Oi.", **fields}
    with pytest.raises(BadRequestError) as refused:
        sdk(whole.url).audio.speech.create(model="tts-1", input="", voice="", extra_body=wanted)
    status, said, where = fault(refused.value)
    assert (status, said) == (400, code)
    assert (where or "").split(".")[0] == param


def test_an_unknown_model_is_refused_with_the_nearest(client: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'tts-1'") as refused:
        client.audio.speech.create(model="tts1", voice="pf_dora", input="Oi.")
    assert fault(refused.value) == (404, "model_not_found", "model")


def test_a_reader_that_stops_reading_loses_its_place() -> None:
    """It takes nothing, so that the sockets' buffers fill up; the place is needed by others."""
    house = House()
    house.tts.parts = 20_000  # a hundred megabytes
    with site_of(house, limits={"max_turns": 1, "turn_s": 1.0}) as site:
        with httpx.stream(
            "POST", f"{site.url}/v1/audio/speech", json={"input": "Oi, bom dia.", "response_format": "pcm"}
        ) as answer:
            parts = answer.iter_raw()  # kept, since the connection is closed with it
            assert next(parts)
            wait_for(lambda: site.activity()["turns"] == 0, 30, "the end of the speech that nobody reads")
        assert house.tts.work.stopped == 1


class SlowEncoder(SpeechEncoder):
    """Encodes for as long as the test likes, and notes in which order its calls ended."""

    def __init__(self, name: SpeechFormat) -> None:
        super().__init__(name)
        self.begun, self.go_on, self.closed = threading.Event(), threading.Event(), threading.Event()
        self.ended: list[str] = []

    def encode(self, speech: Speech) -> bytes:
        self.begun.set()
        assert self.go_on.wait(30)
        data = super().encode(speech)
        self.ended.append("encode")
        return data

    def close(self) -> None:
        super().close()
        self.ended.append("close")
        self.closed.set()


async def test_an_encoder_at_work_is_closed_only_afterwards_when_its_reader_is_gone() -> None:
    async def pieces() -> AsyncGenerator[Speech, None]:
        yield Speech(tone(0.5), RATE)

    encoder = SlowEncoder("mp3")
    reading = asyncio.ensure_future(anext(file_of(pieces(), encoder)))
    await asyncio.to_thread(encoder.begun.wait, 10)
    reading.cancel()
    await asyncio.wait([reading])
    encoder.go_on.set()
    assert await asyncio.to_thread(encoder.closed.wait, 10)
    await asyncio.to_thread(wait_for, lambda: len(encoder.ended) == 2, 10, "both calls")
    assert encoder.ended == ["encode", "close"]


class Silent:
    """A voice that says nothing at all."""

    async def synthesize(self, *_: Any, **__: Any) -> AsyncGenerator[Speech, None]:
        return
        yield


def test_a_voice_that_says_nothing_is_an_empty_file() -> None:
    house = House()
    house.tts = Silent()  # type: ignore[assignment]
    with site_of(house) as site:
        answer = httpx.post(f"{site.url}/v1/audio/speech", json={"input": "Oi.", "response_format": "pcm"})
    assert (answer.status_code, answer.content) == (200, b"")
