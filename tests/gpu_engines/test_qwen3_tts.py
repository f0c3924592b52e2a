"""Qwen3-TTS, beyond what every TextToSpeech engine must do (tests/engines/test_tts_contract.py).

Its streaming is run on the CPU, through the library's own generator; see `tiny_qwen3_tts.EagerQwen3Tts`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Generator, Iterator
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faster_qwen3_tts import FasterQwen3TTS
from gpu_engines import tiny_qwen3_tts
from gpu_engines.offline import offline
from gpu_engines.tiny_qwen3_tts import SAMPLES_PER_FRAME, SPEAKERS, EagerQwen3Tts, Qwen3TTSModel
from support.waiting import at_rest
from transformers.utils.import_utils import is_torchaudio_available

from serve_app.engines.tts import qwen3_tts
from serve_app.engines.tts.qwen3_tts import MOST_FRAMES, PART_PAUSE_S, RUNAWAY_S, Qwen3Tts, max_frames
from serve_app.errors import InvalidField, StackError
from serve_app.protocols import Audio

TEXT = "Bom dia, professora! Tudo bem?"
CHUNK_FRAMES = 4


@pytest.fixture(scope="module", autouse=True)
def no_device_to_wait_for() -> Iterator[None]:
    """The library waits for the device before it looks at its clock."""
    with pytest.MonkeyPatch.context() as patched:
        if not torch.cuda.is_available():
            patched.setattr(torch.cuda, "synchronize", lambda: None)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen3_tts.make(tmp_path_factory.mktemp("qwen3-tts") / "tiny")


@pytest.fixture(scope="module")
def streaming(folder: Path) -> Qwen3Tts:
    with offline():
        return EagerQwen3Tts(folder, device="cpu", dtype="float32", chunk_frames=CHUNK_FRAMES)


@pytest.fixture(scope="module")
def plain(folder: Path) -> Qwen3Tts:
    with offline():
        return Qwen3Tts(folder, device="cpu", dtype="float32")


async def speak(engine: Qwen3Tts, text: str, voice: str = "serena", speed: float = 1.0) -> list[Audio]:
    torch.manual_seed(0)
    return [piece async for piece in engine.synthesize(text, voice=voice, speed=speed)]


@pytest.mark.parametrize("chunk_frames", [1, 4, 12])
async def test_streamed_pieces_are_the_speech_the_library_makes_at_once(folder: Path, chunk_frames: int) -> None:
    engine = EagerQwen3Tts(folder, device="cpu", dtype="float32", chunk_frames=chunk_frames)
    pieces = await speak(engine, TEXT)
    assert len(pieces[0]) == chunk_frames * SAMPLES_PER_FRAME
    assert len(pieces) == -(-max_frames(TEXT) // chunk_frames)
    assert isinstance(engine._model, FasterQwen3TTS)
    torch.manual_seed(0)
    whole, rate = engine._model.generate_custom_voice(TEXT, "serena", "Portuguese", max_new_tokens=max_frames(TEXT))
    assert rate == engine.sample_rate
    # Not the same to the last bit: the library decodes a piece in a window of frames, and the whole at once.
    np.testing.assert_allclose(np.concatenate(pieces), whole[0], atol=1e-4)
    assert np.abs(whole[0]).max() > 0.1


async def test_without_a_card_the_library_speaks_a_part_at_once(plain: Qwen3Tts) -> None:
    [piece] = await speak(plain, TEXT)
    assert isinstance(plain._model, Qwen3TTSModel)
    torch.manual_seed(0)
    [whole], _ = plain._model.generate_custom_voice(TEXT, "serena", "Portuguese", max_new_tokens=max_frames(TEXT))
    np.testing.assert_allclose(piece, whole, atol=1e-5)


async def test_the_first_piece_comes_while_the_rest_is_being_made(streaming: Qwen3Tts) -> None:
    before = await streaming.work_done()
    async with aclosing(streaming.synthesize(TEXT, voice="serena", speed=1.25)) as pieces:
        first = await anext(pieces)
        assert await streaming.work_done() - before < max_frames(TEXT) / CHUNK_FRAMES / 2
        rest = [piece async for piece in pieces]
    played_s = sum(map(len, [first, *rest])) / streaming.sample_rate
    assert played_s == pytest.approx(max_frames(TEXT) * 0.08 / 1.25, abs=0.1)
    assert len(rest) > 5


async def test_closing_after_the_first_piece_stops_the_generation(streaming: Qwen3Tts) -> None:
    async with aclosing(streaming.synthesize(f"{TEXT} {TEXT * 10}", voice="serena", speed=1.0)) as pieces:
        await anext(pieces)
    closed = await streaming.work_done()
    assert await at_rest(streaming.work_done) - closed <= 1
    assert await speak(streaming, "Oi!")


@pytest.mark.parametrize("text", ["Oi!", TEXT])
async def test_a_model_that_finds_no_end_stops_at_the_limit(streaming: Qwen3Tts, text: str) -> None:
    assert sum(map(len, await speak(streaming, text))) == max_frames(text) * SAMPLES_PER_FRAME


def test_the_limit_is_beyond_slow_speech_and_knows_digits() -> None:
    assert max_frames("Oi!") == 25  # 2 s
    assert max_frames("a" * 120) * 0.08 == pytest.approx(1.5 * 120 / 8, abs=0.1)
    assert max_frames("1999") * 0.08 > 5
    assert max_frames("9" * 120) == MOST_FRAMES


@pytest.mark.parametrize("spoken_s", [0.4, 1.0])
async def test_a_part_that_has_fallen_silent_is_over(
    streaming: Qwen3Tts, monkeypatch: pytest.MonkeyPatch, spoken_s: float
) -> None:
    """The library, made to fall silent after `spoken_s` and to go on for ever."""
    made = []
    size = CHUNK_FRAMES * SAMPLES_PER_FRAME
    spoken = round(spoken_s * streaming.sample_rate)

    def falls_silent(*_: Any, **__: Any) -> Generator[tuple[Audio, int, dict[str, Any]]]:
        noise = np.random.default_rng(7)
        try:
            while True:
                piece = noise.normal(0, 0.0005, size).astype(np.float32)
                loud = max(0, min(size, spoken - size * len(made)))
                piece[:loud] += 0.2 * np.sin(np.arange(loud) / 20)
                made.append(size)
                yield piece, streaming.sample_rate, {"is_final": False}
        finally:
            made.append(0)  # closed

    monkeypatch.setattr(FasterQwen3TTS, "generate_custom_voice_streaming", falls_silent)
    played = np.concatenate(await speak(streaming, TEXT))
    assert made[-1] == 0
    assert spoken_s + RUNAWAY_S <= sum(made) / streaming.sample_rate <= spoken_s + RUNAWAY_S + 2 * 0.32
    assert len(played) / streaming.sample_rate == pytest.approx(spoken_s + 0.04, abs=0.02)


async def test_long_texts_of_two_learners_take_turns(plain: Qwen3Tts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qwen3_tts, "MAX_CHARACTERS", 10)
    order: list[str] = []

    async def learner(name: str) -> None:
        async for _ in plain.synthesize("Bom dia. Tudo bem? Até logo.", voice=name, speed=1.0):
            order.append(name)  # noqa: PERF401 - as it is heard

    await asyncio.gather(learner("serena"), learner("ryan"))
    assert order == ["serena", "ryan"] * 3


async def test_a_newcomer_waits_for_one_part_of_a_long_text(plain: Qwen3Tts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qwen3_tts, "MAX_CHARACTERS", 10)
    heard: list[str] = []

    async def learner(name: str, text: str) -> None:
        async for _ in plain.synthesize(text, voice=name, speed=1.0):
            heard.append(name)  # noqa: PERF401 - as it is heard

    long = asyncio.create_task(learner("serena", "Bom dia. Tudo bem? Até logo. Boa noite."))
    while not heard:  # noqa: ASYNC110 - until the first part has been heard
        await asyncio.sleep(0.01)
    await learner("ryan", "Oi.")
    assert heard.count("serena") <= 2
    await long
    assert heard.count("serena") == 4


async def test_parts_of_one_text_have_a_pause_between_them(plain: Qwen3Tts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qwen3_tts, "MAX_CHARACTERS", 10)
    first, second = await speak(plain, "Bom dia. Tudo bem?")
    pause = round(PART_PAUSE_S * plain.sample_rate)
    assert first[:pause].any()
    assert not second[:pause].any()
    assert np.abs(second[pause : 2 * pause]).max() > 0.05


async def test_the_voices_are_the_nine_speakers_and_differ(streaming: Qwen3Tts, plain: Qwen3Tts) -> None:
    assert streaming.voices[0] == plain.voices[0] == "serena"
    assert sorted(streaming.voices) == sorted(plain.voices) == sorted(SPEAKERS) == sorted(qwen3_tts.VOICES)
    one, other = [np.concatenate(await speak(plain, "Oi!", voice)) for voice in ("serena", "dylan")]
    assert len(one) != len(other) or not np.allclose(one, other, atol=1e-3)


async def test_an_unknown_voice_is_refused_with_those_there_are(plain: Qwen3Tts) -> None:
    with pytest.raises(InvalidField, match=r"'robot'.*serena, aiden"):
        await speak(plain, "Oi!", "robot")


async def test_a_failure_of_the_library_ends_its_text_only(
    streaming: Qwen3Tts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> Generator[tuple[Audio, int, dict[str, Any]]]:
        yield np.full(7680, 0.1, np.float32), 24_000, {}
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(FasterQwen3TTS, "generate_custom_voice_streaming", fails)
        pieces = streaming.synthesize(TEXT, voice="serena", speed=1.0)
        assert len(await anext(pieces)) == 7680
        with pytest.raises(torch.OutOfMemoryError):
            await anext(pieces)
    assert await speak(streaming, "Oi!")


async def test_two_streams_do_not_mix(streaming: Qwen3Tts) -> None:
    """The graphs' buffers hold one generation; a second one in between would spoil both."""
    alone = np.concatenate(await speak(streaming, "Oi!"))
    torch.manual_seed(0)
    first = asyncio.create_task(speak(streaming, "Oi!"))
    second = asyncio.create_task(speak(streaming, TEXT, "ryan"))
    np.testing.assert_allclose(np.concatenate(await first), alone, atol=1e-5)
    assert sum(map(len, await second)) == max_frames(TEXT) * SAMPLES_PER_FRAME


def test_a_wrong_model_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    def refused(reason: str, where: Path, **options: Any) -> None:
        with pytest.raises(StackError, match=reason) as error, offline():
            Qwen3Tts(where, device="cpu", dtype="float32", **options)
        assert "\n" not in str(error.value)

    refused(r"does not speak 'Klingon'; known: .*portuguese", folder, language="Klingon")
    refused("no Qwen3-TTS", tmp_path)
    other = shutil.copytree(folder, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "tts_model_type": "voice_design"}))
    refused("says qwen3_tts, voice_design", other)
    (other / "config.json").write_text(json.dumps({"model_type": "llama"}))
    refused("says llama, None", other)
    shutil.rmtree(other)
    half = shutil.copytree(folder, tmp_path / "half")
    shutil.rmtree(half / "speech_tokenizer")
    refused("no Qwen3-TTS", half)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a card")
def test_without_a_card_cuda_is_refused(folder: Path) -> None:
    with pytest.raises(StackError, match="sees none"):
        Qwen3Tts(folder, share=0.2)


def test_nobody_takes_a_stand_in_for_a_library() -> None:
    assert is_torchaudio_available() == (find_spec("torchaudio") is not None)
    assert "torchaudio" not in sys.modules or find_spec("torchaudio") is not None
