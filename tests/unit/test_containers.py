"""Every container of a browser or a phone, sent over the real routes: the speech in it arrives."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from support.clients import asking, post, talking
from support.containers import FORMATS, encode, raw_wav, speech_like
from support.known_speech import house_that_knows
from support.site_without_ray import Site, site_of
from support.speech import resampled

from serve_app.protocols import STT_SAMPLE_RATE, Audio

SAID = "Onde fica o banheiro, por favor?"
SOUNDS = {SAID: speech_like(2.0), "Bom dia.": np.ascontiguousarray(speech_like(1.5)[::-1])}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with site_of(house_that_knows(SOUNDS)) as site:
        yield site


@pytest.fixture(scope="module")
def question() -> Audio:
    return SOUNDS[SAID]


def in_container(name: str, audio: Audio) -> bytes:
    return encode(name, resampled(audio, STT_SAMPLE_RATE, FORMATS[name][2]))


def transcript_of(site: Site, recording: bytes) -> str:
    """What was understood; the rest of the turn is not waited for."""
    with asking(site.url, recording) as events:
        for event in events:
            assert event.name in ("status", "transcript"), event
            if event.name == "transcript":
                return event.data["transcript"]
    raise AssertionError("the stream ended without a transcript")


@pytest.mark.parametrize("name", FORMATS)
def test_every_container_is_understood_over_http(site: Site, question: Audio, name: str) -> None:
    assert transcript_of(site, in_container(name, question)) == SAID


@pytest.mark.parametrize(
    ("rate", "encoding", "channels"), [(8_000, "u8", 1), (22_050, "s24", 2), (48_000, "f32", 2), (96_000, "s16", 1)]
)
def test_wav_of_other_rates_and_channels_is_understood(
    site: Site, question: Audio, rate: int, encoding: str, channels: int
) -> None:
    samples = resampled(question, STT_SAMPLE_RATE, rate)
    recording = raw_wav(samples if channels == 1 else samples.repeat(2).reshape(-1, 2), rate, encoding)
    assert transcript_of(site, recording) == SAID


def test_browser_recordings_are_understood_over_the_websocket(site: Site, question: Audio) -> None:
    with talking(site.url) as talk:
        for name in ("webm-live-opus", "mp4-aac"):
            talk.say(in_container(name, question))
            heard = talk.until("transcript", "error").last
            assert heard.name == "transcript", heard
            assert heard.data["transcript"] == SAID
            talk.tell({"type": "cancel"})
            talk.until("cancelled")


def test_a_recording_cut_before_its_index_is_refused_with_what_to_send(site: Site, question: Audio) -> None:
    whole = in_container("mp4-aac", question)
    answer = post(site.url, whole[: len(whole) * 2 // 3])
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_audio"
    assert "webm" in answer.json()["message"]
