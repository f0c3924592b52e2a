"""Who has the floor, heard in real recordings by the real voice detector; time is the audio's."""

import numpy as np
import pytest

from serve_app.audio import decode
from serve_app.package_data import data_file
from serve_app.turn_taking import LikelyEnd, Paused, SpeechStarted, SpeechStopped, TurnDetector, TurnEvent, TurnSettings

RATE = 16_000


@pytest.fixture(scope="module")
def greeting() -> np.ndarray:
    return decode(data_file("greeting.ogg").read_bytes(), max_seconds=30)


def room(seconds: float) -> np.ndarray:
    """A quiet room: noise at -60 dBFS."""
    return np.random.default_rng(1).normal(0, 1e-3, round(seconds * RATE)).astype(np.float32)


def feed(detector: TurnDetector, audio: np.ndarray, chunk: int = 800) -> list[TurnEvent]:
    return [event for at in range(0, len(audio), chunk) for event in detector.feed(audio[at : at + chunk])]


def server_vad(silence_ms: int = 500, **more: object) -> TurnSettings:
    return TurnSettings(mode="server_vad", silence_duration_ms=silence_ms, **more)  # type: ignore[arg-type]


def test_an_utterance_starts_and_stops_after_the_silence_asked_for(greeting: np.ndarray) -> None:
    detector = TurnDetector(server_vad(700))
    started, *pauses, stopped = feed(detector, np.concatenate([room(1), greeting, room(2)]))

    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert {type(event) for event in pauses} == {Paused, LikelyEnd}
    assert not started.over_tutor
    assert 0.6 < started.at_s < 1.2  # 300 ms before the voice
    assert stopped.at_s - stopped.voice_end_s == pytest.approx(0.7, abs=0.033)
    assert stopped.reason == "silence"


def test_a_room_without_a_voice_starts_nothing() -> None:
    assert feed(TurnDetector(server_vad()), room(3)) == []


def test_a_short_noise_over_the_tutor_does_not_interrupt(greeting: np.ndarray) -> None:
    loud = np.flatnonzero(np.abs(greeting) > 0.1)[0]
    short, long = greeting[loud : loud + 1600], greeting[loud : loud + 12_800]

    for sound, interrupts in ((short, False), (long, True)):
        detector = TurnDetector(server_vad())
        detector.tutor_speaking(True, "Eu moro em Salvador.")
        events = feed(detector, np.concatenate([room(1), sound, room(0.1)]))
        assert [type(e) for e in events] == ([SpeechStarted] if interrupts else [])
        assert all(e.over_tutor for e in events if isinstance(e, SpeechStarted))


def test_reset_forgets_the_utterance_but_not_the_time(greeting: np.ndarray) -> None:
    detector = TurnDetector(server_vad())
    assert isinstance(feed(detector, greeting)[0], SpeechStarted)
    detector.reset()
    assert feed(detector, room(2)) == []
    assert detector.now_s == pytest.approx((len(greeting) + 2 * RATE) / RATE, abs=0.064)
