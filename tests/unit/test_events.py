"""The SSE and WebSocket form of each event, against the published contract (docs/wire.md)."""

from __future__ import annotations

import base64
import io
import json
import wave

import numpy as np
import pytest

from serve_app.errors import Busy, NoSpeech, StageFailed
from serve_app.lesson.events import (
    Complete,
    Delta,
    Event,
    Failed,
    Heard,
    Level,
    Response,
    Spoken,
    Status,
    sse,
    websocket,
)
from serve_app.protocols import LevelEstimate, Transcript, Word

TONE = np.sin(np.arange(2400) / 10).astype(np.float32)
TIMING = {"stt_ms": 1, "cefr_ms": 2, "llm_ms": 3, "tts_ms": 4, "first_audio_ms": 5, "total_ms": 6}

SPOKEN = Spoken(2, "Olá!", TONE, 24_000)
EVENTS: list[tuple[Event, str, dict[str, object]]] = [
    (Status("stt"), "status", {"stage": "stt"}),
    (
        Heard(Transcript("Olá.", (Word("Olá.", 0.1, 0.5, 0.9),), language="pt"), 12, "aula-1"),
        "transcript",
        {
            "transcript": "Olá.",
            "stt_ms": 12,
            "words": [{"text": "Olá.", "start": 0.1, "end": 0.5, "probability": 0.9}],
            "session_id": "aula-1",
            "language": "pt",
        },
    ),
    (
        Level("B1", LevelEstimate("A2", 0.61234, {"A2": 0.61234, "B1": 0.38766}, 3), 7, fixed=True),
        "level",
        {
            "level": "B1",
            "confidence": 0.612,
            "cefr_ms": 7,
            "estimate": "A2",
            "probabilities": {"A2": 0.612, "B1": 0.388},
            "utterances": 3,
            "fixed": True,
            "uncertainty": 0.49,
            "low": "A2",
            "high": "B1",
        },
    ),
    (Delta("Que\n\nbom"), "delta", {"text": "Que\n\nbom"}),
    (Response("Que bom!", 34), "response", {"response": "Que bom!", "llm_ms": 34}),
    (
        Complete("Olá.", "Que bom!", TIMING),
        "complete",
        {"transcript": "Olá.", "response": "Que bom!", "timing": TIMING},
    ),
    (
        Failed("no_speech", "Ninguém falou.", "stt"),
        "error",
        {"code": "no_speech", "message": "Ninguém falou.", "stage": "stt"},
    ),
]


@pytest.mark.parametrize(("event", "name", "fields"), EVENTS)
def test_sse_is_a_named_event_with_one_line_of_json(event: Event, name: str, fields: dict[str, object]) -> None:
    text = sse(event).decode("utf-8")
    first, second, *rest = text.split("\n")
    assert first == f"event: {name}"
    assert second.startswith("data: ")
    assert json.loads(second.removeprefix("data: ")) == fields
    assert rest == ["", ""]


@pytest.mark.parametrize(("event", "name", "fields"), EVENTS)
def test_a_websocket_text_message_has_the_same_fields_and_the_name(
    event: Event, name: str, fields: dict[str, object]
) -> None:
    message = websocket(event)
    assert isinstance(message, str)
    assert json.loads(message) == {"event": name, **fields}


def test_accents_travel_as_they_are() -> None:
    assert "Olá".encode() in sse(EVENTS[1][0])


def assert_is_the_tone(wav_file: bytes) -> None:
    with wave.open(io.BytesIO(wav_file)) as opened:
        assert opened.getparams()[:4] == (1, 2, 24_000, len(TONE))
        samples = np.frombuffer(opened.readframes(len(TONE)), "<i2") / 32767
    np.testing.assert_allclose(samples, TONE, atol=1e-4)


def test_audio_over_sse_is_a_whole_wav_file_in_base64_with_its_number() -> None:
    first, second, *_ = sse(SPOKEN).decode("ascii" if SPOKEN.text.isascii() else "utf-8").split("\n")
    assert first == "event: audio"
    fields = json.loads(second.removeprefix("data: "))
    assert set(fields) == {"chunk", "index", "text"}
    assert (fields["index"], fields["text"]) == (2, "Olá!")
    assert_is_the_tone(base64.b64decode(fields["chunk"], validate=True))


def test_audio_over_a_websocket_is_a_binary_message() -> None:
    message = websocket(SPOKEN)
    assert isinstance(message, bytes)
    assert_is_the_tone(message)


def test_an_error_names_its_own_stage_or_else_the_one_it_came_up_in() -> None:
    assert Failed.of(StageFailed("x", stage="tts"), "llm") == Failed("stage_failed", "x", "tts")
    assert Failed.of(NoSpeech("x"), "stt") == Failed("no_speech", "x", "stt")
    assert Failed.of(Busy("x", stage="llm"), "stt") == Failed("busy", "x", "llm")
