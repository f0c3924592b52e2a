"""What is let through to Whisper, and how it finds its way back into the recording."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from support.speech import VOICE_NAMES, Speaker, hum, silence, white_noise

from serve_app.engines.stt.voice_gate import MARGIN_S, WINDOW_S, windows
from serve_app.protocols import STT_SAMPLE_RATE, Audio

SENTENCE = "Ontem eu fui ao mercado e comprei frutas e leite."


@pytest.mark.parametrize("audio", [silence(0), silence(3), 1e-4 * hum(2), white_noise(3), hum(3)])
def test_nothing_is_let_through_where_nobody_speaks(audio: Audio) -> None:
    assert windows(audio) == []


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
