"""Recordings of browsers, understood by a real server; tests/unit/test_containers.py sends every container."""

from __future__ import annotations

import pytest
from support.clients import asking, talking
from support.containers import FORMATS, encode
from support.servers import Server
from support.speech import Speaker, resampled, word_error_rate

from serve_app.protocols import STT_SAMPLE_RATE, Audio

pytestmark = pytest.mark.server

SAID = "Onde fica o banheiro, por favor?"


def in_container(name: str, audio: Audio) -> bytes:
    return encode(name, resampled(audio, STT_SAMPLE_RATE, FORMATS[name][2]))


def test_the_recordings_of_two_browsers_are_understood_over_the_websocket(
    small_server: Server, speech: Speaker
) -> None:
    with talking(small_server.url) as talk:
        for name in ("webm-live-opus", "mp4-aac"):
            talk.say(in_container(name, speech(SAID)))
            heard = talk.until("transcript", "error").last
            assert heard.name == "transcript", heard
            assert word_error_rate(SAID, heard.data["transcript"]) <= 0.2
            talk.tell({"type": "cancel"})
            talk.until("cancelled")


@pytest.mark.parametrize("name", ["webm-live-opus", "mp4-aac-fragmented"])
def test_of_a_recording_cut_short_what_is_there_is_understood(small_server: Server, speech: Speaker, name: str) -> None:
    whole = in_container(name, speech("Bom dia. Onde fica o banheiro, por favor?"))
    with asking(small_server.url, whole[: len(whole) * 2 // 3]) as events:
        heard = next(event for event in events if event.name in ("transcript", "error"))
    assert heard.name == "transcript", heard
    assert "bom dia" in heard.data["transcript"].lower()
    assert "por favor" not in heard.data["transcript"].lower()
