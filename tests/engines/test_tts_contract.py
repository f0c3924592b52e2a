"""What every TextToSpeech engine must do. To test another one, add it to `ENGINES` and the fixture `engine`."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support.speech import VOICE_NAMES, Listener, total_word_error_rate, voice_files, word_error_rate

from serve_app.engines.tts.kokoro_onnx import KokoroOnnx
from serve_app.engines.tts.kokoro_voices import MAX_CHARACTERS
from serve_app.protocols import Audio, TextToSpeechEngine
from serve_app.sentences import split_long
from serve_app.weights.model_names import resolve

KOKORO_ONNX = pytest.param("kokoro-onnx", marks=pytest.mark.cpu_engine)
ENGINES = [
    KOKORO_ONNX,
    *(["kokoro"] if find_spec("torch") and find_spec("kokoro") else []),
    *(["qwen3-tts"] if find_spec("torch") and find_spec("faster_qwen3_tts") else []),
]
"""Those whose library is installed here; all but kokoro-onnx with small models of random weights."""

understood = pytest.mark.parametrize("engine", [KOKORO_ONNX], indirect=True)
"""For tests that ask what is said: of the engines with trained weights."""

TEXT = "Que bom! Você foi à praia com seus amigos. E como estava o mar?"
LONG_SENTENCES = (
    "Ontem eu fui ao mercado e comprei frutas e leite",
    "depois eu voltei para casa e preparei o almoço",
    "minha mãe chegou mais tarde com o meu irmão",
    "nós comemos juntos e conversamos sobre a viagem",
    "meu pai quer conhecer as praias do nordeste",
    "eu prefiro ficar em casa e ler um bom livro",
)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextToSpeechEngine:
    return make(request.param, tmp_path_factory.mktemp("tts"))


def make(name: str, folder: Path) -> TextToSpeechEngine:
    if name == "kokoro-onnx":
        return KokoroOnnx(resolve("wheel:kokoro-82m"), voices=voice_files())
    if name == "kokoro":
        from gpu_engines import tiny_kokoro

        from serve_app.engines.tts.kokoro import KokoroTorch

        return KokoroTorch(tiny_kokoro.make(folder / "small"), voices=voice_files(), device="cpu")
    from gpu_engines import tiny_qwen3_tts

    from serve_app.engines.tts.qwen3_tts import Qwen3Tts

    return Qwen3Tts(tiny_qwen3_tts.make(folder / "tiny"), device="cpu", dtype="float32")


async def speak(engine: TextToSpeechEngine, text: str, *, voice: str | None = None, speed: float = 1.0) -> list[Audio]:
    return [part async for part in engine.synthesize(text, voice=voice or engine.voices[0], speed=speed)]


async def test_pieces_are_finite_mono_float32_between_minus_one_and_one(engine: TextToSpeechEngine) -> None:
    for part in await speak(engine, "Tudo bem?"):
        assert part.dtype == np.float32
        assert part.ndim == 1
        assert np.isfinite(part).all()
        assert 0.05 < np.abs(part).max() <= 1


@understood
@pytest.mark.parametrize("voice", VOICE_NAMES)
async def test_a_listener_understands_every_voice(engine: TextToSpeechEngine, voice: str, listen: Listener) -> None:
    audio = np.concatenate(await speak(engine, TEXT, voice=voice))
    assert word_error_rate(TEXT, listen(audio, engine.sample_rate).text) <= 0.10


async def test_slow_speech_is_longer(engine: TextToSpeechEngine) -> None:
    normal, slow = [np.concatenate(await speak(engine, "Como estava o mar?", speed=speed)) for speed in (1.0, 0.7)]
    assert 1.25 < len(slow) / len(normal) < 1.6  # 1 / 0.7 is 1.43


@understood
async def test_slow_speech_is_as_clear(engine: TextToSpeechEngine, listen: Listener) -> None:
    slow = np.concatenate(await speak(engine, TEXT, speed=0.7))
    assert word_error_rate(TEXT, listen(slow, engine.sample_rate).text) <= 0.10


@pytest.mark.parametrize("text", ["", "   ", "...", "?!", "😀", "—"])
async def test_what_cannot_be_pronounced_yields_nothing_and_fails_nothing(
    engine: TextToSpeechEngine, text: str
) -> None:
    assert await speak(engine, text) == []
    assert await speak(engine, "Oi!") != []


@understood
async def test_a_long_text_is_spoken_whole_with_or_without_marks(engine: TextToSpeechEngine, listen: Listener) -> None:
    text = f"{' '.join((LONG_SENTENCES * 2)[:10])}. {'. '.join(LONG_SENTENCES)[:150]}"
    assert len(text) > 600  # without marks alone it is longer than what Kokoro takes at once
    parts = await speak(engine, text, speed=1.25)
    assert len(parts) >= len(text) / MAX_CHARACTERS
    # Transcribed part by part: what is to be judged is the voice, not Whisper's windows.
    heard = " ".join([listen(part, engine.sample_rate).text for part in parts])
    assert total_word_error_rate([(text, heard)]) <= 0.10


async def test_a_closed_stream_ends_after_the_part_in_progress(engine: TextToSpeechEngine) -> None:
    text = f"Bom dia! {' '.join(LONG_SENTENCES * 3)}"
    assert len(split_long(text, MAX_CHARACTERS)) == 4
    before = await engine.work_done()
    async with aclosing(engine.synthesize(text, voice=engine.voices[0], speed=1.0)) as parts:
        first = asyncio.ensure_future(anext(parts))
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.wait([first])
    assert await speak(engine, "Oi!") != []  # spoken in turn: so nothing is left of the other
    assert await engine.work_done() - before <= 1 + 1


async def test_a_text_that_waits_its_turn_is_dropped_when_its_stream_closes(engine: TextToSpeechEngine) -> None:
    before = await engine.work_done()
    tasks = [asyncio.create_task(speak(engine, "Bom dia, tudo bem?")) for _ in range(4)]
    await asyncio.sleep(0.05)
    for task in tasks[1:]:
        task.cancel()
    await asyncio.wait(tasks)
    assert len(tasks[0].result()) == 1
    await speak(engine, "Oi!")
    assert await engine.work_done() - before == 2
