"""The window that Whisper encodes, and when what it wrote is not trusted."""

from __future__ import annotations

import pytest

from serve_app.engines.stt.short_window import Certainty, combined, compression_ratio, frames_to_encode

SURE = Certainty(logprob=-0.3, ratio=1.1)
UNSURE = Certainty(logprob=-1.2, ratio=1.1)
LOOP = Certainty(logprob=-0.1, ratio=compression_ratio("e depois " * 20))


@pytest.mark.parametrize(
    ("sound", "frames"), [(0, 500), (80, 500), (300, 500), (301, 600), (1000, 1200), (2790, 3000), (3000, 3000)]
)
def test_the_sound_and_two_seconds_are_encoded_at_least_five(sound: int, frames: int) -> None:
    assert frames_to_encode(sound) == frames


@pytest.mark.parametrize(
    ("certainty", "doubtful"),
    [(SURE, False), (UNSURE, True), (LOOP, True), (Certainty(-0.3, 1.1, at_edge=True), True), (Certainty(), True)],
)
def test_unlikely_repeated_or_endless_text_is_doubtful(certainty: Certainty, doubtful: bool) -> None:
    assert certainty.doubtful is doubtful


def test_the_whole_window_wins_where_it_is_likelier_or_does_not_repeat() -> None:
    assert SURE.beats(UNSURE)
    assert not UNSURE.beats(SURE)
    assert UNSURE.beats(LOOP)
    assert not LOOP.beats(UNSURE)
    assert UNSURE.beats(Certainty(-0.3, 1.1, at_edge=True))


def test_another_language_is_tried_for_unlikely_text_of_more_than_a_word() -> None:
    assert UNSURE.maybe_foreign(3.0)
    assert not UNSURE.maybe_foreign(0.9)
    assert not SURE.maybe_foreign(3.0)
    assert SURE.fluent
    assert not LOOP.fluent


def test_long_parts_weigh_more_and_one_loop_is_enough() -> None:
    assert combined([(9.0, SURE), (1.0, UNSURE)]).logprob == pytest.approx(-0.39)
    assert combined([(9.0, SURE), (1.0, LOOP)]).repetitive
    assert combined([]) == Certainty()
