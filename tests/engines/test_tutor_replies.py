"""What the CPU stack's model makes of the tutor's prompt."""

from __future__ import annotations

import pytest

from bench.tutor_dialogues import Dialogue, Line
from bench.tutor_eval import lesson, prefix_tokens
from serve_app.engines.llm.llama_cpp import LlamaCpp
from serve_app.lesson.tutor_prompt import default_prompt
from serve_app.protocols import Sampling
from serve_app.weights.model_names import resolve

pytestmark = pytest.mark.asyncio(loop_scope="module")  # an engine belongs to one event loop

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
