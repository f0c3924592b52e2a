"""The chat messages for the tutor's model: `serve_app.lesson.tutor_prompt`."""

from __future__ import annotations

from itertools import pairwise

import pytest

from serve_app.config.user_config import ExampleExchange, TutorPrompt
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.tutor_prompt import (
    DEFAULT_LEVEL,
    TutorRequest,
    default_prompt,
    history_messages,
    messages,
    prefix,
)
from serve_app.protocols import LEVELS

PROMPT = TutorPrompt(system="Você é Lia.", examples=[ExampleExchange(level="A1", learner="Oi.", tutor="Oi! Tudo bem?")])
LESSON = (
    Exchange("Eu moro em Lisboa.", "Que bom! Você gosta de lá?", "A2"),
    Exchange("Gosto.", "E o que você faz?", "A2"),
)


def test_the_prefix_is_the_same_for_every_learner_level_and_history() -> None:
    shared = prefix(PROMPT)
    for level in (None, *LEVELS):
        for history in ((), LESSON):
            assert messages(PROMPT, TutorRequest("Oi.", level, history))[: len(shared)] == shared


def test_a_turn_only_adds_to_what_the_turn_before_had() -> None:
    """Otherwise every turn would lose the prompt cache."""
    first = messages(PROMPT, TutorRequest(LESSON[0].learner, "A2"))
    second = messages(PROMPT, TutorRequest(LESSON[1].learner, "A2", LESSON[:1]))
    assert second[: len(first)] == first


def test_what_is_warmed_after_a_turn_begins_the_next_request() -> None:
    warmed = history_messages(PROMPT, LESSON)
    assert messages(PROMPT, TutorRequest("Eu estudo.", "A2", LESSON))[: len(warmed)] == warmed


def test_the_level_stands_before_each_utterance() -> None:
    said = messages(PROMPT, TutorRequest("Eu estudo.", "C1", LESSON))
    assert [message["content"] for message in said if message["role"] == "user"] == [
        "[A1] Oi.",
        "[A2] Eu moro em Lisboa.",
        "[A2] Gosto.",
        "[C1] Eu estudo.",
    ]


def test_an_unknown_level_is_taken_for_the_default() -> None:
    assert messages(PROMPT, TutorRequest("Oi."))[-1]["content"] == f"[{DEFAULT_LEVEL}] Oi."


def test_utterances_that_got_no_answer_are_joined_with_the_next_one() -> None:
    history = (Exchange("Eu queria", "", "A2"), Exchange("eu queria saber", "", "A2"))
    said = messages(PROMPT, TutorRequest("onde fica o banco.", "B1", history))
    assert said[-1] == {"role": "user", "content": "[B1] Eu queria eu queria saber onde fica o banco."}
    assert len(said) == len(prefix(PROMPT)) + 1


@pytest.mark.parametrize(
    "history",
    [
        (),
        LESSON,
        (Exchange("a", "", None), *LESSON),
        (*LESSON, Exchange("a", "", None), Exchange("b", "", None)),
        (LESSON[0], Exchange("a", "", None), LESSON[1]),
    ],
)
def test_learner_and_tutor_take_turns_and_the_learner_speaks_last(history: tuple[Exchange, ...]) -> None:
    roles = [message["role"] for message in messages(PROMPT, TutorRequest("Oi.", None, history))]
    assert roles[0] == "system"
    assert all(one != other for one, other in pairwise(roles))
    assert roles[-1] == "user"


def test_the_prompt_that_comes_with_parle_shows_several_levels() -> None:
    prompt = default_prompt()
    assert "Portuguese" in prompt.system
    assert len({example.level for example in prompt.examples}) >= 3
    # What it shows is what is asked for: it ends with a question.
    assert all(example.tutor.endswith("?") for example in prompt.examples)
