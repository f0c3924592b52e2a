"""Smart Turn: its spectrogram is Whisper's, and a sentence sounds more finished than its first half."""

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor
from support.paths import ROOT

from serve_app.audio import decode
from serve_app.engines.turns.smart_turn import SmartTurn
from serve_app.engines.turns.whisper_mel import log_mel
from serve_app.protocols import Audio
from serve_app.weights.model_names import resolve
from serve_app.weights.sources import SMART_TURN

SENTENCE = ROOT / "tests/data/speech/no-fim-de-semana-passado-nos-visitamos-meus-d4c79d.pf_dora.pt-br.ogg"


@pytest.fixture(scope="module")
def sentence() -> Audio:
    return decode(SENTENCE.read_bytes(), max_seconds=30)


@pytest.mark.parametrize("seconds", [0.0, 1.0, 8.0, 11.0])
def test_the_spectrogram_is_whispers_of_the_last_eight_seconds(sentence: Audio, seconds: float) -> None:
    audio = np.tile(sentence, 10)[: round(seconds * 16_000)]
    last = np.concatenate([np.zeros(128_000, np.float32), audio])[-128_000:]
    normalised = (last - last.mean()) / np.sqrt(last.var() + 1e-7)
    expected = FeatureExtractor(chunk_length=8)(normalised.astype(np.float32), padding=0)
    assert log_mel(audio).shape == (80, 800)
    assert log_mel(audio) == pytest.approx(expected[:, :800], abs=1e-3)


def test_a_sentence_sounds_finished_and_its_first_words_do_not(sentence: Audio) -> None:
    model = SmartTurn(resolve(SMART_TURN))
    silence = np.zeros(3_200, np.float32)
    whole = model.ask(np.concatenate([sentence, silence])).result(timeout=30)
    begun = model.finished(np.concatenate([sentence[: len(sentence) // 3], silence]))
    assert whole > 0.8
    assert begun < whole
