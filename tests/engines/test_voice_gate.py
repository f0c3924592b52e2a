"""What is let through to Whisper, and how it finds its way back into the recording."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from support.containers import raw_wav
from support.paths import ROOT
from support.speech import VOICE_NAMES, Speaker, hum, silence, white_noise

from serve_app.audio import decode
from serve_app.engines.stt.voice_gate import MARGIN_S, WINDOW_S, windows
from serve_app.protocols import STT_SAMPLE_RATE, Audio

SENTENCE = "Ontem eu fui ao mercado e comprei frutas e leite."


@pytest.mark.parametrize("audio", [silence(0), silence(3), 1e-4 * hum(2), white_noise(3), hum(3)])
def test_nothing_is_let_through_where_nobody_speaks(audio: Audio) -> None:
    assert windows(audio) == []


def recorded(samples: Audio) -> Audio:
    return decode(raw_wav(samples, STT_SAMPLE_RATE, "s16"), max_seconds=120)


@pytest.mark.parametrize("level", [1e-4, 4e-4, 2e-3])
@pytest.mark.parametrize("noise", [white_noise(3, rms=1.0), hum(3)], ids=["white", "hum"])
def test_quiet_noise_that_was_raised_is_not_let_through(noise: Audio, level: float) -> None:
    assert windows(recorded(level * noise)) == []


QUIET = decode((ROOT / "tests/data/recordings/quiet.flac").read_bytes(), max_seconds=60) / 50
"""A sentence of 2.8 s at -67 dBFS."""


@pytest.mark.parametrize(
    ("audio", "start"),
    [
        pytest.param(QUIET, 0.0, id="quiet"),
        pytest.param(np.concatenate([silence(40), QUIET, silence(20)]), 40.0, id="within a long silence"),
        pytest.param(QUIET + np.float32(0.4), 0.0, id="beside an offset"),
        pytest.param(np.stack([QUIET, -QUIET], axis=1), 0.0, id="in opposite phase"),
        pytest.param(np.concatenate([hum(0.2), silence(1), QUIET]), 1.2, id="after a knock"),
    ],
)
def test_speech_that_a_poor_microphone_took_is_let_through(audio: Audio, start: float) -> None:
    (window,) = windows(recorded(audio))
    first, last = window.pieces[0], window.pieces[-1]
    assert first.start + first.shift == pytest.approx(start, abs=0.25)
    assert last.end + last.shift == pytest.approx(start + 2.75, abs=0.25)


@pytest.mark.parametrize("pause", [0.05, 1.0, 6.0])
def test_windows_hold_all_that_is_said_and_no_more_than_thirty_seconds(speech: Speaker, pause: float) -> None:
    one = speech(SENTENCE, VOICE_NAMES[0])
    audio = np.concatenate([part for _ in range(25) for part in (one, silence(pause))])
    made = windows(audio)
    assert len(made) > 2
    assert all(len(window.audio) <= WINDOW_S * STT_SAMPLE_RATE for window in made)
    kept = sum(len(window.audio) for window in made) / STT_SAMPLE_RATE
    spoken = 25 * len(one) / STT_SAMPLE_RATE
    assert 0.85 * spoken <= kept <= spoken + 25 * min(pause, 2 * MARGIN_S) + 0.5
    # The pieces follow each other in the recording as in the windows.
    places = [(piece.start + piece.shift, piece.end + piece.shift) for window in made for piece in window.pieces]
    assert all(first < last for first, last in places)
    assert all(one[1] <= next[0] + 0.2 for one, next in pairwise(places))


def test_a_words_time_leads_back_into_the_recording(speech: Speaker) -> None:
    one = speech(SENTENCE)
    audio = np.concatenate([silence(3), one, silence(5), one, silence(2)])
    seconds = len(one) / STT_SAMPLE_RATE
    (window,) = windows(audio)
    assert len(window.audio) / STT_SAMPLE_RATE < 2 * seconds + 4 * MARGIN_S + 0.2
    # A word heard from the start of the window begins with the voice, not with the margin before it.
    start, _ = window.place(0.0, 0.6 + MARGIN_S)
    assert start == pytest.approx(3.0, abs=0.25)
    # One that seems to last through the pause belongs where most of its voice is.
    middle = MARGIN_S + seconds + MARGIN_S
    start, end = window.place(middle - 0.1, middle + MARGIN_S + 0.6)
    assert start == pytest.approx(8 + seconds, abs=0.25)
    assert end == pytest.approx(8 + seconds + 0.6, abs=0.25)
