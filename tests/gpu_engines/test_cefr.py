"""The CEFR classifier through transformers, beyond its contract (tests/engines/test_cefr_contract.py)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from gpu_engines import tiny_cefr
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from serve_app.engines.cefr import transformers_cefr
from serve_app.engines.cefr.transformers_cefr import TransformersCefr
from serve_app.errors import StackError

SHORT = "Eu gosto de futebol."
LONG = "Se eu tivesse estudado mais, teria passado na prova e estaria na praia com a minha família."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_cefr.make(tmp_path_factory.mktemp("cefr") / "tiny")


@pytest.fixture(scope="module")
def engine(folder: Path) -> TransformersCefr:
    return TransformersCefr(folder, device="cpu")


def told_by_the_model(folder: Path, text: str) -> dict[str, float]:
    """What the library itself says of one text, by the model's own labels."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        logits = model(**AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")).logits[0]
    return {model.config.id2label[i]: p for i, p in enumerate(logits.softmax(-1).tolist())}


async def test_one_utterance_is_judged_as_the_model_judges_it(engine: TransformersCefr, folder: Path) -> None:
    for text in (SHORT, LONG):
        assert (await engine.classify(text)).probabilities == pytest.approx(told_by_the_model(folder, text), abs=1e-4)


async def test_utterances_weigh_by_their_words(engine: TransformersCefr, folder: Path) -> None:
    short, long = told_by_the_model(folder, SHORT), told_by_the_model(folder, LONG)
    assert short != pytest.approx(long, abs=0.05)
    words = len(SHORT.split()), len(LONG.split())
    expected = {level: (words[0] * short[level] + words[1] * long[level]) / sum(words) for level in short}
    estimate = await engine.classify(SHORT, [LONG])
    assert estimate.probabilities == pytest.approx(expected, abs=1e-4)
    assert estimate.utterances == 2


async def test_short_utterances_count_together(engine: TransformersCefr) -> None:
    assert (await engine.classify("oi")).level is None
    estimate = await engine.classify("tudo bem", ["oi", "bom dia", "!!"])
    assert estimate.level is not None
    assert estimate.utterances == 3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
async def test_a_padded_batch_is_judged_as_each_text_alone(folder: Path, dtype: str) -> None:
    texts = [SHORT, LONG, f"{LONG} {LONG}", "ontem eu fui à praia", *(f"{LONG} {SHORT * n}" for n in range(1, 9))]
    together = await TransformersCefr(folder, device="cpu", dtype=dtype).classify_batch([(text, ()) for text in texts])
    alone = TransformersCefr(folder, device="cpu", dtype=dtype)  # another one, which remembers nothing
    for text, estimate in zip(texts, together, strict=True):
        expected = (await alone.classify(text)).probabilities
        assert estimate.probabilities == pytest.approx(expected, abs=1e-4 if dtype == "float32" else 0.1)


async def test_bfloat16_agrees_with_float32(engine: TransformersCefr, folder: Path) -> None:
    half = TransformersCefr(folder, device="cpu", dtype="bfloat16")
    for text in (SHORT, LONG):
        full = (await engine.classify(text)).probabilities
        assert (await half.classify(text)).probabilities == pytest.approx(full, abs=0.1)


async def test_labels_may_be_a_few_in_any_order_and_case(tmp_path: Path) -> None:
    folder = tiny_cefr.make(tmp_path / "tiny", labels=("c1", " B1", "a2"))
    model = told_by_the_model(folder, LONG)
    estimate = await TransformersCefr(folder, device="cpu").classify(LONG)
    assert list(estimate.probabilities) == ["A2", "B1", "C1"]
    expected = {"A2": model["a2"], "B1": model[" B1"], "C1": model["c1"]}
    assert estimate.probabilities == pytest.approx(expected, abs=1e-4)


async def test_nameless_labels_need_a_map(tmp_path: Path) -> None:
    folder = tiny_cefr.make(tmp_path / "tiny", labels=None)
    with pytest.raises(StackError, match=r"LABEL_0.*cefr\.labels"):
        TransformersCefr(folder, device="cpu")
    with pytest.raises(StackError, match=r"LABEL_1.*cefr\.labels"):
        TransformersCefr(folder, device="cpu", labels={"LABEL_0": "B1"})
    estimate = await TransformersCefr(folder, device="cpu", labels={"LABEL_0": "B1", "LABEL_1": "A1"}).classify(LONG)
    model = told_by_the_model(folder, LONG)
    assert estimate.probabilities == pytest.approx({"A1": model["LABEL_1"], "B1": model["LABEL_0"]}, abs=1e-4)


async def test_an_utterance_longer_than_the_model_reads_is_cut(engine: TransformersCefr) -> None:
    estimate = await engine.classify(" ".join([LONG] * 200))
    assert sum(estimate.probabilities.values()) == pytest.approx(1)


async def test_what_was_read_is_remembered_but_not_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers_cefr, "REMEMBERED", 8)
    monkeypatch.setattr(transformers_cefr, "CEFR_TEXTS_AT_ONCE", 5)
    engine = TransformersCefr(folder, device="cpu")
    texts = [f"{SHORT} {' '.join(['praia'] * n)}" for n in range(20)]
    first = await engine.classify_batch([(text, texts) for text in texts])
    assert len(engine._remembered) == 8
    again = await engine.classify_batch([(text, texts) for text in texts])
    for one, other in zip(first, again, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)


def test_a_model_without_a_trained_head_is_refused(folder: Path, tmp_path: Path) -> None:
    """The mDeBERTa that everyone starts from: the library would give it a random head and go on."""
    tiny_cefr.make(tmp_path / "bare")
    weights = load_file(path := tmp_path / "bare" / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("classifier")}
    assert len(kept) < len(weights)
    save_file(kept, path, metadata={"format": "pt"})
    with pytest.raises(StackError, match=r"no weights 'classifier"):
        TransformersCefr(tmp_path / "bare", device="cpu")


@pytest.mark.parametrize("config", [None, {}, {"model_type": "llama"}])
def test_a_wrong_folder_is_refused_in_one_line(tmp_path: Path, config: dict[str, str] | None) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(StackError, match="no text classifier") as refused:
        TransformersCefr(tmp_path, device="cpu")
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a card")
def test_without_a_card_cuda_is_refused(folder: Path) -> None:
    with pytest.raises(StackError, match="sees none"):
        TransformersCefr(folder, share=0.1)


def test_random_weights_tell_texts_apart(folder: Path) -> None:
    """Or the tests above would show nothing."""
    short, long = told_by_the_model(folder, SHORT), told_by_the_model(folder, LONG)
    assert np.abs(np.subtract(list(short.values()), list(long.values()))).max() > 0.05
