"""The tutor's style for each level."""

from itertools import pairwise

import pytest
from support.lesson import Lesson
from support.stages import House

from serve_app.protocols import LEVELS
from serve_app.teaching.level_style import speed_of, style_of


def test_a_higher_level_allows_at_least_as_much() -> None:
    for lower, higher in pairwise(map(style_of, LEVELS)):
        assert lower.longest_reply < higher.longest_reply
        assert lower.longest_sentence < higher.longest_sentence
        assert set(lower.tenses) <= set(higher.tenses)
        assert lower.speed <= higher.speed


def test_beginners_hear_a_slower_voice_and_an_unknown_level_the_usual_one() -> None:
    assert speed_of("A1") < speed_of("A2") < speed_of("B1") == speed_of(None) == 1


def test_the_style_of_an_unknown_learner_is_that_of_a2_and_no_level_is_refused() -> None:
    assert style_of(None).level == "A2"
    with pytest.raises(ValueError, match="not in tuple"):
        style_of("D1")


@pytest.mark.parametrize("level", ["A1", "C1"])
async def test_the_level_s_speed_reaches_the_voice_beside_what_the_client_chose(level: str) -> None:
    house = House()
    await Lesson(house).take(level=level)
    assert set(house.tts.level_speeds) == {speed_of(level)}
    assert {speed for _, _, speed in house.tts.asked} == {None}
