"""Trimming of silence, and tempo, for speech in pieces of any size."""

from __future__ import annotations

import numpy as np
import pytest

from serve_app.engines.tts.speech_pieces import KEPT_S, SilenceHeldBack, Tempo
from serve_app.protocols import Audio

RATE = 24_000
SPEED_ERROR_S = 0.06
"""How much FFmpeg's atempo may add or drop at the ends: about a window."""


def tone(seconds: float, hertz: float = 440, level: float = 0.3) -> Audio:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def hush(seconds: float) -> Audio:
    """Near-silence, as a model makes it: noise at -60 dBFS."""
    return np.random.default_rng(7).normal(0, 0.001, round(seconds * RATE)).astype(np.float32)


def through(held_back: SilenceHeldBack, audio: Audio, size: int) -> list[Audio]:
    return [held_back.feed(audio[i : i + size]) for i in range(0, len(audio), size)]


@pytest.mark.parametrize("size", [240, 1000, 7680, 10**6])
def test_silence_between_sounds_stays_and_at_the_ends_goes(size: int) -> None:
    middle = np.concatenate([tone(0.5), hush(1.0), tone(0.5)])
    audio = np.concatenate([hush(0.7), middle, hush(0.9)])
    held_back = SilenceHeldBack(RATE)
    played = np.concatenate([*through(held_back, audio, size), held_back.finish()])
    kept = round(KEPT_S * RATE)
    assert len(played) == pytest.approx(len(middle) + 2 * kept, abs=2 * RATE * 0.01 + (0 if size > 1000 else size))
    at = np.flatnonzero(np.abs(played) > 0.1)[0]
    first = np.flatnonzero(np.abs(audio) > 0.1)[0]
    np.testing.assert_array_equal(played[at : at + len(middle)], audio[first : first + len(middle)])


def test_speech_is_not_held_back() -> None:
    held_back = SilenceHeldBack(RATE)
    audio = tone(1.0)
    assert [len(piece) for piece in through(held_back, audio, 7680)] == [7680, 7680, 7680, 960]
    assert not len(held_back.finish())


def test_silence_counts_from_the_last_sound_and_not_before_the_first() -> None:
    held_back = SilenceHeldBack(RATE)
    seen = []
    for audio in (hush(2.0), tone(0.2), hush(0.5), hush(0.5), tone(0.2), hush(0.4)):
        held_back.feed(audio)
        seen.append(held_back.silence_s)
    assert seen == pytest.approx([0, 0, 0.5, 1.0, 0, 0.4], abs=0.01)


def test_of_silence_alone_nothing_is_played() -> None:
    held_back = SilenceHeldBack(RATE)
    assert not any(map(len, through(held_back, hush(3.0), 7680)))
    assert not len(held_back.finish())


@pytest.mark.parametrize("speed", [0.5, 0.7, 1.3, 2.0])
@pytest.mark.parametrize("size", [960, 7680])
def test_tempo_changes_the_duration_and_not_the_pitch(speed: float, size: int) -> None:
    tempo, audio = Tempo(RATE, speed), tone(3.0, hertz=330)
    pieces = [tempo.feed(audio[i : i + size]) for i in range(0, len(audio), size)]
    played = np.concatenate([*pieces, tempo.finish()])
    assert played.dtype == np.float32
    assert len(played) / RATE == pytest.approx(3.0 / speed, abs=SPEED_ERROR_S)
    spectrum = np.abs(np.fft.rfft(played * np.hanning(len(played))))
    assert np.argmax(spectrum) * RATE / len(played) == pytest.approx(330, abs=5)


def test_tempo_plays_while_it_is_fed() -> None:
    tempo = Tempo(RATE, 1.25)
    ready = [len(tempo.feed(tone(0.32))) for _ in range(8)]
    assert all(ready)
    assert sum(ready) / RATE > (8 * 0.32 - 0.06) / 1.25
