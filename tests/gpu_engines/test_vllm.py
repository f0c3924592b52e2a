"""The vLLM engine on a CPU: a real small model, and the checkpoint formats of the GPU stacks in miniature."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Any

import psutil
import pytest
from gpu_engines import tiny_llm
from gpu_engines.vllm_engines import MAX_REPLIES, running
from support.waiting import at_rest

from serve_app.config.user_config import TutorPrompt
from serve_app.engines.llm.vllm import WARM_TOKENS, Vllm, _params
from serve_app.errors import StackError, StageFailed
from serve_app.lesson import tutor_prompt
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.protocols import Message, ReplyForm, Sampling, TextDelta, Usage

pytestmark = pytest.mark.asyncio(loop_scope="session")  # an engine belongs to one event loop
FOUR_BIT_KERNEL = "avx512f" in Path("/proc/cpuinfo").read_text("utf-8")
"""Without AVX-512 vLLM's build for CPUs loads weights of 4 bits and has no kernel that multiplies by them."""

GREEDY = Sampling(temperature=0, max_tokens=40)
SAMPLED = Sampling(temperature=1, top_p=1, max_tokens=16, seed=7, stop=())
STORY = Sampling(temperature=0, max_tokens=300, stop=())
SCHEMA = {
    "type": "object",
    "properties": {"level": {"enum": ["A1", "A2", "B1"]}, "mistakes": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["level", "mistakes"],
    "additionalProperties": False,
}
PROMPT = tutor_prompt.default_prompt()
LESSON: list[Message] = [
    {"role": "system", "content": "Você é professora."},
    {"role": "user", "content": "[A1] Oi!"},
    {"role": "assistant", "content": "Olá! Tudo bem?"},
    {"role": "user", "content": "[A1] Tudo bem."},
]


@pytest.fixture(scope="module")
def ministral(tmp_path_factory: pytest.TempPathFactory) -> Generator[Vllm]:
    """Its file holds no vision tower, though its params.json promises one."""
    folder = tiny_llm.ministral(tmp_path_factory.mktemp("ministral"), tower=False)
    with running(lambda: miniature(folder, format="mistral")) as engine:
        yield engine


@pytest.fixture(scope="module")
def multimodal_gemma(gemma_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Vllm]:
    """Gemma 3 with vision tower, the language model in 4 bits where the CPU can run them."""
    folder = tiny_llm.gemma_multimodal(gemma_folder, tmp_path_factory.mktemp("gemma"), quantized=FOUR_BIT_KERNEL)
    with running(lambda: miniature(folder)) as engine:
        yield engine


def miniature(folder: Path, **options: str) -> Vllm:
    with tiny_llm.torchvision():
        return Vllm(
            folder,
            device="cpu",
            dtype="bfloat16",
            context_tokens=512,
            max_replies=2,
            kv_cache_bytes=1 << 27,
            cuda_graphs=False,
            **options,  # pyright: ignore[reportArgumentType]
        )


async def reply(engine: Vllm, messages: Sequence[Message], sampling: Sampling = GREEDY) -> tuple[str, Usage]:
    *deltas, usage = [item async for item in engine.stream(messages, sampling)]
    assert isinstance(usage, Usage)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)), usage


def asking(utterance: str, *history: Exchange) -> list[Message]:
    return tutor_prompt.messages(PROMPT, TutorRequest(utterance, "A2", history))


async def seconds_until(condition: Callable[[], Awaitable[bool]]) -> float:
    begun = time.perf_counter()
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - the engine tells nobody
            await asyncio.sleep(0.005)
    return time.perf_counter() - begun


async def test_a_real_model_answers_in_portuguese_to_what_was_said(gemma_vllm: Vllm) -> None:
    beach, _ = await reply(gemma_vllm, asking("Ontem eu fui na praia."))
    home, _ = await reply(gemma_vllm, asking("Meu irmão mora em Lisboa."))
    assert any(word in beach.lower() for word in ("praia", "mar", "onda", "sol", "areia"))
    portuguese = {"você", "que", "seu", "é", "um", "onde", "foi", "como", "em", "ele", "mora", "com"}
    for text in (beach, home):
        assert portuguese & {word.strip("?!.,").lower() for word in text.split()}
    assert beach != home


async def test_a_second_turn_finds_the_first_in_the_cache_and_is_answered_otherwise(gemma_vllm: Vllm) -> None:
    said = "Eu gosto de futebol."
    alone, _ = await reply(gemma_vllm, asking("E você?"))
    text, first = await reply(gemma_vllm, asking(said))
    later, second = await reply(gemma_vllm, asking("E você?", Exchange(said, text.strip(), "A2")))
    assert second.cached_tokens > 0.9 * first.prompt_tokens
    assert later != alone


async def test_a_prompt_begins_with_the_token_that_gemma_needs(gemma_vllm: Vllm) -> None:
    """Without <bos> it says the same nonsense to everything, and this tokenizer adds none."""
    tokenizer = gemma_vllm._engine.get_tokenizer()
    first, *others = await gemma_vllm._prompts.tokens([{"role": "user", "content": "[A2] Oi"}])
    assert first == tokenizer.bos_token_id
    assert tokenizer.encode(tokenizer.decode(others)) == others


async def test_a_reply_ends_before_a_stop_string(gemma_vllm: Vllm) -> None:
    sixteen = Sampling(temperature=0, max_tokens=16, stop=())
    whole, _ = await reply(gemma_vllm, asking("Ontem eu fui na praia."), sixteen)
    stop = whole.split()[2]
    text, usage = await reply(gemma_vllm, asking("Ontem eu fui na praia."), Sampling(temperature=0, stop=(stop,)))
    assert text == whole[: whole.index(stop)]
    assert usage.finish_reason == "stop"


def test_a_seed_reaches_vllm_but_on_a_cpu_which_it_would_kill() -> None:
    assert (_params(SAMPLED, seeds=True).seed, _params(SAMPLED, seeds=False).seed) == (7, None)


async def test_a_seed_does_no_harm_to_prompts_that_are_read_in_parts(gemma_vllm: Vllm) -> None:
    questions = [f"Hoje é dia {number}. " * 30 for number in range(3)]
    replies = await asyncio.gather(*(reply(gemma_vllm, asking(question), SAMPLED) for question in questions))
    assert all(usage.completion_tokens == SAMPLED.max_tokens for _, usage in replies)
    await gemma_vllm.check()


async def test_a_real_model_fills_a_schema(gemma_vllm: Vllm) -> None:
    text, usage = await reply(gemma_vllm, asking("Eu fui na praia."), Sampling(temperature=0, json_schema=SCHEMA))
    fits(text)
    assert usage.finish_reason == "stop"


async def test_four_replies_are_written_at_once(gemma_vllm: Vllm) -> None:
    """The model's steps overlap: at some moment vLLM has all four in hand."""
    most = 0

    async def write(number: int) -> Usage:
        nonlocal most
        usage = None
        async for item in gemma_vllm.stream(asking(f"Eu tenho {number} gatos. Conta uma história."), SAMPLED):
            most = max(most, await gemma_vllm.running())
            usage = item
        assert isinstance(usage, Usage)
        return usage

    usages = await asyncio.gather(*(write(number) for number in range(4)))
    assert [usage.completion_tokens for usage in usages] == [SAMPLED.max_tokens] * 4
    assert most == 4


async def test_warming_everywhere_writes_as_many_replies_at_once_as_there_may_be(gemma_vllm: Vllm) -> None:
    before, most = await gemma_vllm.work_done(), 0
    warming = asyncio.create_task(gemma_vllm.warm(tutor_prompt.prefix(PROMPT), everywhere=True))
    while not warming.done():
        most = max(most, await gemma_vllm.running())
        await asyncio.sleep(0.001)
    await warming
    assert most == MAX_REPLIES
    assert await gemma_vllm.work_done() - before >= MAX_REPLIES * WARM_TOKENS


async def test_closing_a_stream_frees_vllm_within_a_fifth_of_a_second(gemma_vllm: Vllm) -> None:
    async with aclosing(gemma_vllm.stream(asking("Conta uma história longa."), STORY)) as stream:
        for _ in range(3):
            await anext(stream)
        assert await gemma_vllm.running() == 1
        done = await gemma_vllm.work_done()
        closing = time.perf_counter()
    await seconds_until(lambda: _is_idle(gemma_vllm))
    assert time.perf_counter() - closing < 0.2
    assert await at_rest(gemma_vllm.work_done) - done <= 4


async def test_a_reader_cancelled_at_any_moment_leaves_nothing_behind(gemma_vllm: Vllm) -> None:
    for delay in (0, 0.001, 0.005, 0.02, 0.1, 0.3):
        reading = asyncio.create_task(reply(gemma_vllm, asking(f"Conta uma história de {delay}."), STORY))
        await asyncio.sleep(delay)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert await seconds_until(lambda: _is_idle(gemma_vllm)) < 5
    assert gemma_vllm._engine.get_num_unfinished_requests() == 0


async def test_a_ministral_in_mistrals_format_is_loaded_without_its_vision_tower(ministral: Vllm) -> None:
    _, usage = await reply(ministral, LESSON, Sampling(temperature=0, max_tokens=6, stop=()))
    assert usage.completion_tokens == 6
    bos, *_ = await ministral._prompts.tokens(LESSON)
    assert bos == ministral._engine.get_tokenizer().bos_token_id
    text, _ = await reply(ministral, LESSON, Sampling(temperature=1, json_schema=SCHEMA, seed=1))
    fits(text)


async def test_a_multimodal_gemma_writes_text(multimodal_gemma: Vllm) -> None:
    _, usage = await reply(multimodal_gemma, LESSON, Sampling(temperature=0, max_tokens=6, stop=()))
    assert usage.completion_tokens == 6
    text, _ = await reply(multimodal_gemma, LESSON, Sampling(temperature=1, json_schema=SCHEMA, seed=1))
    fits(text)


async def test_a_multimodal_gemma_in_four_bits_is_loaded_as_such(
    request: pytest.FixtureRequest, gemma_folder: Path, tmp_path: Path
) -> None:
    with ExitStack() as closing:
        if FOUR_BIT_KERNEL:
            engine: Vllm = request.getfixturevalue("multimodal_gemma")  # and it writes
        else:
            folder = tiny_llm.gemma_multimodal(gemma_folder, tmp_path, quantized=True)
            engine = closing.enter_context(running(lambda: miniature(folder)))
        assert engine._engine.vllm_config.model_config.quantization == "compressed-tensors"


@pytest.mark.parametrize("name", ["ministral", "multimodal_gemma"])
async def test_what_is_warmed_is_how_every_conversation_begins(name: str, request: pytest.FixtureRequest) -> None:
    """Also where the template puts the system's words into the user's turn, and refuses to end with the tutor's."""
    engine: Vllm = request.getfixturevalue(name)
    prompt = TutorPrompt(system="Fale do mar, das ondas, da areia, dos barcos e dos peixes. " * 4)
    await engine.warm(tutor_prompt.prefix(prompt))
    one = Sampling(temperature=0, max_tokens=1)
    _, usage = await reply(engine, tutor_prompt.messages(prompt, TutorRequest("Oi.")), one)
    assert usage.cached_tokens >= 0.6 * usage.prompt_tokens

    history = (Exchange("Oi, tudo bem? Eu sou a Ana.", "Tudo ótimo, Ana! De onde você é?", "A2"),)
    await engine.warm(tutor_prompt.history_messages(prompt, history))
    _, later = await reply(engine, tutor_prompt.messages(prompt, TutorRequest("Sou de Roma.", "A2", history)), one)
    assert later.cached_tokens > usage.cached_tokens


@pytest.mark.parametrize("name", ["ministral", "multimodal_gemma"])
async def test_a_begun_reply_is_the_end_of_the_prompt(name: str, request: pytest.FixtureRequest) -> None:
    """The template closes a message of the tutor's with a token, which a reply that is gone on with must not have."""
    engine: Vllm = request.getfixturevalue(name)
    asked = TutorRequest("Eu moro em Recife.", "A2", begin="Que bom! Você mora em Recife.")
    tokenizer = engine._engine.get_tokenizer()
    begun = await engine._prompts.tokens(tutor_prompt.messages(TutorPrompt(system="Fale do mar."), asked))
    assert tokenizer.decode(begun[-5:]).endswith("Recife.")
    form = ReplyForm(sentence=False, questions=("Onde", "Com quem"))
    sampling = Sampling(temperature=1, max_tokens=30, form=form)
    text, _ = await reply(engine, tutor_prompt.messages(TutorPrompt(system="Fale do mar."), asked), sampling)
    assert text.lstrip().startswith(("Onde ", "Com quem "))


@pytest.mark.kills_vllm
async def test_a_lost_process_is_told_in_an_error_that_needs_no_vllm(gemma_vllm: Vllm) -> None:
    await gemma_vllm.check()
    (core,) = [child for child in psutil.Process().children() if _holds(child, gemma_vllm)]
    reading = asyncio.create_task(reply(gemma_vllm, asking("Conta uma história."), STORY))
    await seconds_until(lambda: _is_busy(gemma_vllm))
    core.kill()
    with pytest.raises(StageFailed) as lost:
        await asyncio.wait_for(reading, 60)
    assert (lost.value.code, lost.value.stage) == ("stage_lost", "llm")
    with pytest.raises(RuntimeError):
        await gemma_vllm.check()
    with pytest.raises(StageFailed) as again:
        await reply(gemma_vllm, asking("Oi."))
    assert again.value.code == "stage_lost"

    reads = "import pickle, sys; e = pickle.load(sys.stdin.buffer); print(e.code, 'vllm' in sys.modules)"
    command = [sys.executable, "-c", reads]
    output = await asyncio.to_thread(subprocess.check_output, command, input=pickle.dumps(lost.value))
    assert output.decode().split() == ["stage_lost", "False"]


async def test_a_folder_without_a_model_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"config\.json"):
        Vllm(tmp_path, device="cpu")
    with pytest.raises(StackError, match=r"params\.json"):
        Vllm(tmp_path, device="cpu", format="mistral")
    (tmp_path / "config.json").write_text('{"model_type": "unheard-of"}', "utf-8")
    with pytest.raises(StackError, match=str(tmp_path)):
        Vllm(tmp_path, device="cpu")


def fits(text: str) -> None:
    answer = json.loads(text)
    assert answer.keys() == {"level", "mistakes"}
    assert answer["level"] in ("A1", "A2", "B1")
    assert 0 <= answer["mistakes"] <= 99


async def _is_idle(engine: Vllm) -> bool:
    return await engine.running() == 0


async def _is_busy(engine: Vllm) -> bool:
    return await engine.running() > 0


def _holds(child: psutil.Process, engine: Vllm) -> bool:
    manager: Any = engine._engine.engine_core.resources.engine_manager  # pyright: ignore[reportAttributeAccessIssue]
    return child.pid in {process.pid for process in manager.processes}
