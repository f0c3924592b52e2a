"""What every chat engine must do, asked of each whose library is installed here."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import time
from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise

import pytest
from support.waiting import at_rest, until_more

from serve_app.config.user_config import TutorPrompt
from serve_app.errors import StageFailed
from serve_app.lesson import tutor_prompt
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.protocols import ChatEngine, Message, ReplyForm, Sampling, TextDelta, Usage
from serve_app.weights.model_names import resolve

CONTEXT_TOKENS = 1024
GREEDY = Sampling(temperature=0, max_tokens=24)
STORY = Sampling(temperature=0, max_tokens=400, stop=())
SHORT_STORY = Sampling(temperature=0, max_tokens=40, stop=())
PROMPT = tutor_prompt.default_prompt()


LEVEL_SCHEMA = {
    "type": "object",
    "properties": {
        "level": {"enum": ["A1", "A2", "B1"]},
        "words": {"type": "array", "items": {"enum": ["[", "mar"]}, "minItems": 2, "maxItems": 2},
    },
    "required": ["level", "words"],
    "additionalProperties": False,
}
ENGINES = [
    *([pytest.param("llama-cpp", marks=pytest.mark.cpu_engine)] if importlib.util.find_spec("xllamacpp") else []),
    *(["vllm"] if importlib.util.find_spec("vllm") else []),
]

pytestmark = pytest.mark.asyncio(loop_scope="session")  # an engine belongs to one event loop


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> ChatEngine:
    """Gemma 3 270M, a base model: small and fast, kept to the lesson by the transcript template."""
    if request.param == "vllm":
        return request.getfixturevalue("gemma_vllm")
    from serve_app.engines.llm.llama_cpp import LlamaCpp

    return LlamaCpp(
        resolve("wheel:gemma-3-270m"),
        context_tokens=CONTEXT_TOKENS,
        slots=2,
        chat_template=tutor_prompt.transcript_template(),
    )


@pytest.fixture(scope="module")
def batch_tokens(engine: ChatEngine) -> int:
    """Prompt tokens that the engine reads in one step."""
    if type(engine).__module__.endswith("llama_cpp"):
        from serve_app.engines.llm.llama_cpp import BATCH_TOKENS

        return BATCH_TOKENS
    from serve_app.engines.llm.vllm import CPU_BATCH_TOKENS

    return CPU_BATCH_TOKENS


@pytest.fixture(scope="module")
def places(engine: ChatEngine) -> int:
    """How many replies the engine writes at a time."""
    return 2 if type(engine).__module__.endswith("llama_cpp") else 4


def asking(utterance: str, *history: Exchange) -> list[Message]:
    return tutor_prompt.messages(PROMPT, TutorRequest(utterance, "A2", history))


async def reply(engine: ChatEngine, messages: Sequence[Message], sampling: Sampling = GREEDY) -> tuple[str, Usage]:
    """The whole reply and what it cost."""
    *deltas, usage = [item async for item in engine.stream(messages, sampling)]
    assert isinstance(usage, Usage)
    assert all(isinstance(delta, TextDelta) and delta.text for delta in deltas)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)), usage


async def test_deltas_come_one_by_one_and_then_one_usage(engine: ChatEngine) -> None:
    items = [item async for item in engine.stream(asking("Eu gosto de futebol."), GREEDY)]
    assert len(items) > 4
    assert [type(item) for item in items] == [TextDelta] * (len(items) - 1) + [Usage]
    usage = items[-1]
    assert isinstance(usage, Usage)
    assert usage.prompt_tokens > 100
    assert len(items) - 2 <= usage.completion_tokens <= GREEDY.max_tokens


async def test_a_base_model_answers_as_the_teacher_and_stops_at_the_end_of_the_line(engine: ChatEngine) -> None:
    for utterance in ("Eu gosto de futebol.", "Ontem eu fui na praia.", "Meu irmão mora em Lisboa."):
        text, usage = await reply(engine, asking(utterance), Sampling(temperature=0, max_tokens=90))
        assert len(text.split()) >= 2
        assert usage.finish_reason == "stop"
        assert not any(mark in text for mark in ("\n", "[", "Aluno:", "Professora:"))


async def test_a_reply_ends_at_its_limit(engine: ChatEngine) -> None:
    _, usage = await reply(engine, asking("Conta uma história."), Sampling(temperature=0, max_tokens=5, stop=()))
    assert (usage.completion_tokens, usage.finish_reason) == (5, "length")


async def test_usage_tells_the_time_of_the_work_without_the_wait_for_it(engine: ChatEngine, places: int) -> None:
    """Of one reply more than are written at a time, the last waits for one of the others to end."""

    async def timed(number: int) -> tuple[float, float, Usage]:
        begun, first = time.perf_counter(), 0.0
        usage = None
        async for item in engine.stream(asking(f"Eu tenho {number} gatos. Conta uma história."), SHORT_STORY):
            first = first or time.perf_counter() - begun
            usage = item
        assert isinstance(usage, Usage)
        return first, time.perf_counter() - begun, usage

    told = await asyncio.gather(*(timed(number) for number in range(places + 1)))
    for first_s, whole_s, usage in told:
        assert 0 < usage.prefill_s <= first_s
        assert usage.decode_s > 0
        assert usage.prefill_s + usage.decode_s <= whole_s
    waits = sorted(first_s - usage.prefill_s for first_s, _, usage in told)
    quickest = min(usage.decode_s for _, _, usage in told)
    assert waits[-1] > 0.9 * quickest  # which is in its `first_s`, but not in the work on its prompt


async def test_a_schema_makes_the_reply_json_of_that_shape_whatever_else_ends_a_reply(engine: ChatEngine) -> None:
    text, usage = await reply(
        engine, asking("Eu fui ao mar."), Sampling(max_tokens=200, seed=3, json_schema=LEVEL_SCHEMA)
    )
    answer = json.loads(text)
    assert answer.keys() == {"level", "words"}
    assert answer["level"] in ("A1", "A2", "B1")
    assert len(answer["words"]) == 2
    assert set(answer["words"]) <= {"[", "mar"}
    assert usage.finish_reason == "stop"


async def test_a_begun_reply_is_gone_on_with_in_the_form_asked_for(engine: ChatEngine) -> None:
    said = Exchange("Eu moro em Porto Alegre.", "", "A2")
    for form, shape in (
        (ReplyForm(True, ("Onde", "O que")), r" ?[^?.!]+\. (Onde|O que) [^?.!]+\?"),
        (ReplyForm(False, ("Com quem",)), r" ?Com quem [^?.!]+\?"),
        (ReplyForm(False), r" ?[^?.!]+\?"),
        (ReplyForm(True, asks=False), r" ?[^?.!]+\."),
    ):
        request = TutorRequest(said.learner, said.level, begin="Que bom. Você mora", form=form)
        sampling = Sampling(temperature=0, max_tokens=60, form=form)
        text, usage = await reply(engine, tutor_prompt.messages(PROMPT, request), sampling)
        if usage.finish_reason == "stop":
            assert re.fullmatch(shape, text), text
        else:  # a model so small may find no end
            assert re.match(shape.split("[^")[0], text), text
        assert "Você mora" not in text[:10]


async def test_an_engine_at_work_is_not_lost(engine: ChatEngine) -> None:
    await engine.check()


async def test_only_what_is_new_in_a_turn_is_read(engine: ChatEngine) -> None:
    text, first = await reply(engine, asking("Eu moro em Porto Alegre."))
    later = asking("Gosto do parque.", Exchange("Eu moro em Porto Alegre.", text.strip(), "A2"))
    _, second = await reply(engine, later)
    assert second.cached_tokens >= 0.9 * first.prompt_tokens
    assert second.cached_tokens < second.prompt_tokens


async def test_a_warmed_prefix_need_not_be_read_again(engine: ChatEngine) -> None:
    prompt = TutorPrompt(system="Fale do mar, das ondas, da areia, dos barcos e dos peixes. " * 8)
    await engine.warm(tutor_prompt.prefix(prompt))
    _, usage = await reply(engine, tutor_prompt.messages(prompt, TutorRequest("Oi.")))
    assert usage.cached_tokens >= 0.8 * (usage.prompt_tokens - 12)


async def test_a_closed_stream_writes_no_more(engine: ChatEngine) -> None:
    before = await at_rest(engine.work_done)
    async with aclosing(engine.stream(asking("Conta uma história longa."), STORY)) as stream:
        for _ in range(5):
            await anext(stream)
        at_closing = await engine.work_done()
    after = await at_rest(engine.work_done)
    assert at_closing > before
    # At 80 tokens a second, 200 ms are 16.
    assert after - at_closing <= 20
    assert after - before < STORY.max_tokens / 2


async def test_a_cancelled_reader_stops_the_writing_too(engine: ChatEngine) -> None:
    before = await at_rest(engine.work_done)
    reading = asyncio.create_task(reply(engine, asking("Conta outra história longa."), STORY))
    await until_more(engine.work_done, before + 10)
    reading.cancel()
    await asyncio.wait([reading])
    assert await at_rest(engine.work_done) - before < STORY.max_tokens / 2


async def test_a_prompt_that_nobody_waits_for_is_not_read_to_its_end(engine: ChatEngine, batch_tokens: int) -> None:
    words = " ".join(f"palavra{number}" for number in range(170))
    messages: list[Message] = [{"role": "user", "content": words}]
    before = await at_rest(engine.work_done)
    _, usage = await reply(engine, messages, Sampling(temperature=0, max_tokens=1))
    batches = await at_rest(engine.work_done) - before
    assert batches >= usage.prompt_tokens / batch_tokens

    messages[0]["content"] = "Outra " + words
    before = await at_rest(engine.work_done)
    reading = asyncio.create_task(reply(engine, messages, STORY))
    await until_more(engine.work_done, before)
    reading.cancel()
    await asyncio.wait([reading])
    assert await at_rest(engine.work_done) - before <= 0.6 * batches


async def test_a_closed_stream_frees_its_place(engine: ChatEngine, places: int) -> None:
    """More streams are begun and closed than there are slots; the next request is served all the same."""
    for _ in range(places + 1):
        async with aclosing(engine.stream(asking("Conta uma história longa."), STORY)) as stream:
            await anext(stream)
    async with asyncio.timeout(60):
        text, _ = await reply(engine, asking("Eu gosto de café."))
    assert text.strip()


async def test_two_replies_are_written_side_by_side(engine: ChatEngine) -> None:
    order: list[int] = []

    async def write(number: int) -> None:
        async for _ in engine.stream(asking(f"Eu tenho {number} gatos. Conta uma história."), SHORT_STORY):
            order.append(number)  # noqa: PERF401 - each as it comes, between those of the other

    await asyncio.gather(write(1), write(2))
    switches = sum(one != other for one, other in pairwise(order))
    assert {1, 2} == set(order)
    assert switches > 10


async def test_a_conversation_longer_than_the_context_is_refused_with_what_to_change(engine: ChatEngine) -> None:
    messages: list[Message] = [{"role": "user", "content": "uma palavra e outra " * CONTEXT_TOKENS}]
    with pytest.raises(StageFailed, match=r"limits\.history_tokens.*llm\.context_tokens") as refusal:
        await reply(engine, messages)
    assert (refusal.value.code, refusal.value.stage) == ("context_full", "llm")
    assert (await reply(engine, asking("Oi.")))[1].completion_tokens > 0
