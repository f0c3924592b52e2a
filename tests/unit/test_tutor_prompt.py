"""The tutor's prompt: its format and its examples."""

from __future__ import annotations

import pytest

from bench.tutor_checks import FIRST_PIECE, faults, first_piece, foreign_words, sentences
from bench.tutor_conversations import Line
from serve_app.config.user_config import ExampleExchange
from serve_app.lesson.tutor_prompt import default_prompt

EXAMPLES = default_prompt().examples


def test_there_are_few_examples_for_low_and_high_levels() -> None:
    assert 3 <= len(EXAMPLES) <= 8
    assert {"A1", "A2", "B1", "C1"} <= {example.level for example in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.learner[:20])
def test_an_example_is_what_a_reply_should_be(example: ExampleExchange) -> None:
    assert example.tutor.endswith("?")
    assert 2 <= len(sentences(example.tutor)) <= 3
    assert len(first_piece(example.tutor)) in FIRST_PIECE
    assert not any(faults(example.tutor, Line(example.learner), example.level).values())


def test_no_two_examples_begin_alike() -> None:
    assert len({first_piece(example.tutor) for example in EXAMPLES}) == len(EXAMPLES)


def test_the_language_check_tells_portuguese_from_its_neighbours() -> None:
    assert foreign_words("Que delícia! Você foi à praia com a Marta e comeu moqueca?") == []
    assert {"tengo", "hermanos"} <= set(foreign_words("Eu tengo dois hermanos e uma irmã."))
    assert foreign_words('A palavra "stove" é fogão.') == []
