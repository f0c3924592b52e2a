"""What the planner and the CPU stack's model make of a conversation."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from bench.inprocess import tutor
from bench.tutor_conversations import Conversation, Line
from bench.tutor_replies import Typed, converse
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.protocols import Usage

pytestmark = pytest.mark.asyncio(loop_scope="module")  # an engine belongs to one event loop

PROMPT_TOKENS = 580
"""The longest prompt of a first turn: on two cores each token adds 16 ms to a cold start."""

LESSON = Conversation(
    "a first lesson",
    "A2",
    "Spanish",
    (
        Line("Eu tem um gato, ele se chama Bruno.", right="tem um gato"),
        Line("Eu estou muito triste porque meu avô morreu.", bad_news=True),
        Line("Como se chama o meu gato?", answer="Bruno"),
        Line("Eu moro em Recife e trabalho com computadores."),
        Line("Tchau, até amanhã!"),
    ),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def llm() -> Any:
    return await tutor({"sampling": {"temperature": 0.0}}, slots=1, context_tokens=2048, decode_threads=2)


async def test_the_first_prompt_is_cheap_enough_to_warm(llm: Any) -> None:
    items = [item async for item in llm.reply(TutorRequest("Oi.", max_tokens=1))]
    [usage] = [item for item in items if isinstance(item, Usage)]
    assert 0 < usage.prompt_tokens <= PROMPT_TOKENS


async def test_a_real_small_model_answers_like_a_teacher(llm: Any) -> None:
    replies = await converse(Typed(llm), LESSON)
    assert {reply.line.said: (reply.text, reply.found) for reply in replies if reply.found} == {}
