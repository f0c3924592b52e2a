"""The tutor's prompt: its format, its length, and the real model's answers to it."""

from __future__ import annotations

import pytest

from bench.tutor_dialogues import Dialogue, Line
from bench.tutor_eval import FIRST_PIECE, failures, first_piece, foreign_words, lesson, prefix_tokens, sentences
from serve_app.config.user_config import ExampleExchange
from serve_app.engines.llm.llama_cpp import LlamaCpp
from serve_app.lesson.tutor_prompt import default_prompt
from serve_app.protocols import Sampling
from serve_app.weights.model_names import resolve

PREFIX_TOKENS = 450
"""The longest prefix: on two cores each token adds 16 ms to a cold start."""

LESSON = (
    Dialogue(
        "greeting",
        "A1",
        (Line("Oi, eu soy Marta, sou de México e tengo vinte anos.", "error", r"tem (vinte|20) anos", "tengo"),),
    ),
    Dialogue(
        "yesterday",
        "A2",
        (Line("Ontem eu foi no supermercado e eu comprei muito frutas.", "error", "muitas frutas", "muito frutas"),),
    ),
    Dialogue(
        "cinema",
        "B1",
        (Line("Ontem eu sou ido ao cinema com a minha mulher.", "error", r"(foi|foram) ao cinema", r"\bido\b"),),
    ),
    Dialogue(
        "cities", "B2", (Line("É importante que as cidades tem mais ciclovias.", "error", r"tenham|dev(em|eriam) ter"),)
    ),
    Dialogue("work", "A1", (Line("Eu trabalhar em restaurante. Eu é cozinheiro.", "error", r"você (trabalha|é)"),)),
    Dialogue(
        "sad",
        "A2",
        (Line("Eu estou muito triste porque meu cachorro morreu.", "feeling", None, r"^\W*(que (legal|bom)|ótimo)"),),
    ),
)


@pytest.fixture(scope="module")
def engine() -> LlamaCpp:
    return LlamaCpp(resolve("wheel:qwen2.5-coder-1.5b-instruct"), slots=1, context_tokens=2048)


EXAMPLES = default_prompt().examples


def test_there_are_few_examples_for_low_and_high_levels() -> None:
    assert 3 <= len(EXAMPLES) <= 6
    assert {"A1", "A2", "B1", "C1"} <= {example.level for example in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.learner[:20])
def test_an_example_is_what_a_reply_should_be(example: ExampleExchange) -> None:
    assert example.tutor.endswith("?")
    assert 2 <= sentences(example.tutor) <= 3
    assert len(first_piece(example.tutor)) in FIRST_PIECE
    assert failures(example.tutor, Line(example.learner, "error"), example.level) == ()


def test_no_two_examples_begin_alike() -> None:
    assert len({first_piece(example.tutor) for example in EXAMPLES}) == len(EXAMPLES)


def test_the_language_check_tells_portuguese_from_its_neighbours() -> None:
    assert foreign_words("Que delícia! Você foi à praia com a Marta e comeu moqueca?") == []
    assert {"tengo", "hermanos"} <= set(foreign_words("Eu tengo dois hermanos e uma irmã."))
    assert foreign_words('A palavra "stove" é fogão.') == []


async def test_the_prefix_is_cheap_enough_to_warm(engine: LlamaCpp) -> None:
    assert 0 < await prefix_tokens(engine, default_prompt()) <= PREFIX_TOKENS


async def test_a_real_small_model_answers_like_a_teacher(engine: LlamaCpp) -> None:
    replies = [
        reply
        for dialogue in LESSON
        for reply in await lesson(engine, default_prompt(), dialogue, Sampling(temperature=0.0))
    ]
    passed = [reply for reply in replies if not reply.failed]
    assert len(passed) >= 4, [(reply.text, reply.failed) for reply in replies]
    assert all("[" not in reply.text for reply in replies)
