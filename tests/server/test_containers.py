"""Every container of a browser or a phone, sent to a real server: what comes back is what was said."""

from __future__ import annotations

import pytest
from support.clients import Event, asking, post, talking
from support.containers import FORMATS, encode, raw_wav
from support.servers import Server
from support.speech import Speaker, resampled, word_error_rate

from serve_app.protocols import STT_SAMPLE_RATE, Audio

pytestmark = pytest.mark.server

SAID = "Onde fica o banheiro, por favor?"


@pytest.fixture(scope="module")
def question(speech: Speaker) -> Audio:
    return speech(SAID)


def in_container(name: str, audio: Audio) -> bytes:
    return encode(name, resampled(audio, STT_SAMPLE_RATE, FORMATS[name][2]))


def transcript_of(server: Server, recording: bytes) -> str:
    """What the server understood; the rest of the turn is not waited for."""
    with asking(server.url, recording) as events:
        return _transcript(events)


def _transcript(events: object) -> str:
    for event in events:  # type: ignore[attr-defined]
        assert isinstance(event, Event)
        assert event.name in ("status", "transcript"), event
        if event.name == "transcript":
            return event.data["transcript"]
    raise AssertionError("the stream ended without a transcript")


@pytest.mark.parametrize("name", FORMATS)
def test_every_container_is_understood_over_http(server: Server, question: Audio, name: str) -> None:
    assert word_error_rate(SAID, transcript_of(server, in_container(name, question))) <= 0.2


@pytest.mark.parametrize(
    ("rate", "encoding", "channels"), [(8_000, "u8", 1), (22_050, "s24", 2), (48_000, "f32", 2), (96_000, "s16", 1)]
)
def test_wav_of_other_rates_and_channels_is_understood(
    server: Server, question: Audio, rate: int, encoding: str, channels: int
) -> None:
    samples = resampled(question, STT_SAMPLE_RATE, rate)
    recording = raw_wav(samples if channels == 1 else samples.repeat(2).reshape(-1, 2), rate, encoding)
    assert word_error_rate(SAID, transcript_of(server, recording)) <= 0.2


def test_browser_recordings_are_understood_over_the_websocket(server: Server, question: Audio) -> None:
    with talking(server.url) as talk:
        for name in ("webm-live-opus", "mp4-aac"):
            talk.say(in_container(name, question))
            heard = talk.until("transcript", "error").last
            assert heard.name == "transcript", heard
            assert word_error_rate(SAID, heard.data["transcript"]) <= 0.2
            talk.tell({"type": "cancel"})
            talk.until("cancelled")


@pytest.mark.parametrize("name", ["webm-live-opus", "mp4-aac-fragmented"])
def test_of_a_recording_cut_short_what_is_there_is_understood(server: Server, speech: Speaker, name: str) -> None:
    whole = in_container(name, speech("Bom dia. Onde fica o banheiro, por favor?"))
    heard = transcript_of(server, whole[: len(whole) * 2 // 3]).lower()
    assert "bom dia" in heard
    assert "por favor" not in heard


def test_a_recording_cut_before_its_index_is_refused_with_what_to_send(server: Server, question: Audio) -> None:
    whole = in_container("mp4-aac", question)
    answer = post(server.url, whole[: len(whole) * 2 // 3])
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_audio"
    assert "webm" in answer.json()["message"]
