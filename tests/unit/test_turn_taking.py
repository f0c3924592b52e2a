"""Who has the floor, heard in real recordings by the real voice detector; time is the audio's."""

from concurrent.futures import Future

import numpy as np
import pytest

from serve_app.audio import decode
from serve_app.engines.turns.silero import silero
from serve_app.package_data import data_file
from serve_app.turn_taking import (
    FalseStart,
    LikelyEnd,
    Paused,
    SpeechStarted,
    SpeechStopped,
    TurnDetector,
    TurnEvent,
    TurnModels,
    TurnSettings,
)

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


class Sound:
    """What Smart Turn says, known at once."""

    def __init__(self, finished: float) -> None:
        self.finished = finished
        self.asked: list[int] = []

    def ask(self, audio: np.ndarray) -> Future[float]:
        self.asked.append(len(audio))
        answer: Future[float] = Future()
        answer.set_result(self.finished)
        return answer


def listen(detector: TurnDetector, audio: np.ndarray, text: str | None) -> list[TurnEvent]:
    """Feed it; each pause is transcribed at once as `text`, None for no transcriber."""
    events: list[TurnEvent] = []
    for at in range(0, len(audio), 512):
        for event in detector.feed(audio[at : at + 512]):
            events.append(event)
            if isinstance(event, Paused) and text is not None:
                detector.heard(text, event.at_s)
    return events


def wait_after(greeting: np.ndarray, text: str | None, finished: float | None, **chosen: object) -> float:
    sound = None if finished is None else Sound(finished)
    models = TurnModels(silero(), sound)
    detector = TurnDetector(TurnSettings(**chosen), models)  # type: ignore[arg-type]
    stopped = listen(detector, np.concatenate([room(0.5), greeting, room(6)]), text)[-1]
    assert isinstance(stopped, SpeechStopped)
    return stopped.at_s - stopped.voice_end_s


def test_a_finished_sentence_is_answered_soon_and_an_unfinished_one_waited_for(greeting: np.ndarray) -> None:
    finished = wait_after(greeting, "Eu moro em Recife.", 0.99)
    assert finished < 0.6
    assert wait_after(greeting, "Eu moro em", 0.99) > 1.8
    assert wait_after(greeting, "Deixa eu pensar.", 0.99) > wait_after(greeting, "Eu moro em", 0.99)
    assert finished < wait_after(greeting, None, 0.6) <= 1.83 < wait_after(greeting, None, 0.1)
    assert wait_after(greeting, None, None, level="C1") == pytest.approx(1.2, abs=0.033)


def test_a_likely_end_comes_before_the_end(greeting: np.ndarray) -> None:
    detector = TurnDetector(TurnSettings(), TurnModels(silero(), Sound(0.99)))
    events = listen(detector, np.concatenate([room(0.5), greeting, room(3)]), "Eu moro em Recife.")
    likely, stopped = events[-2:]
    assert isinstance(likely, LikelyEnd)
    assert isinstance(stopped, SpeechStopped)
    assert likely.probability > 0.5
    assert likely.at_s < stopped.at_s


def test_the_sound_is_asked_only_in_pauses_and_for_eight_seconds_at_most(greeting: np.ndarray) -> None:
    sound = Sound(0.1)
    detector = TurnDetector(TurnSettings(), TurnModels(silero(), sound))
    listen(detector, np.concatenate([room(0.5), np.tile(greeting, 5), room(3)]), None)
    assert 0 < len(sound.asked) <= 12
    assert max(sound.asked) == 8 * RATE


@pytest.mark.parametrize(
    ("text", "reason"), [("Aham.", "backchannel"), ("", "too_short"), ("Você mora em Salvador", "echo")]
)
def test_what_is_no_interruption_is_taken_back(greeting: np.ndarray, text: str, reason: str) -> None:
    detector = TurnDetector(TurnSettings(), TurnModels(silero(), None))
    detector.tutor_speaking(True, "Que legal, você mora em Salvador!")
    events = listen(detector, np.concatenate([room(1), greeting, room(3)]), text)
    assert isinstance(events[0], SpeechStarted)
    assert events[0].over_tutor
    assert events[-1] == FalseStart(events[-1].at_s, reason)  # type: ignore[arg-type]


def test_an_aham_that_answers_the_tutor_is_an_answer(greeting: np.ndarray) -> None:
    detector = TurnDetector(TurnSettings(), TurnModels(silero(), None))
    events = listen(detector, np.concatenate([room(1), greeting, room(3)]), "Aham.")
    assert isinstance(events[-1], SpeechStopped)


def test_a_transcript_of_before_a_pause_says_nothing_of_it(greeting: np.ndarray) -> None:
    models = TurnModels(silero(), Sound(0.9))
    fresh, stale = TurnDetector(TurnSettings(), models), TurnDetector(TurnSettings(), models)
    audio = np.concatenate([room(0.5), greeting, room(3)])
    stopped = listen(fresh, audio, "Que horas são?")[-1]
    feed(stale, audio[:RATE])
    stale.heard("Que horas são?", 1.0)
    later = feed(stale, audio[RATE:])[-1]
    assert isinstance(stopped, SpeechStopped)
    assert isinstance(later, SpeechStopped)
    assert stopped.at_s < later.at_s
