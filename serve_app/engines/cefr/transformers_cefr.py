"""The CEFR engine `transformers`: a sequence classifier fine-tuned on texts of known level, such as mDeBERTa.

Such models were trained on essays. A spoken turn of ten words is very different, so one turn says
little: the probabilities of all of a learner's utterances are averaged, weighted by their words.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from serve_app.engines.torch_device import claim
from serve_app.errors import StackError, first_line
from serve_app.gpu.engine_sizes import CEFR_TEXTS_AT_ONCE
from serve_app.protocols import LEVELS, LevelEstimate
from serve_app.stopwatch import timed

FEWEST_WORDS = 4
"""Fewest words of all utterances together for an estimate."""

LONGEST_TOKENS = 512
"""The length such models were trained with; the rest of a longer utterance is not read."""

REMEMBERED = 4096
"""Texts whose probabilities are cached: a client sends `earlier` again with every turn."""

_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")

Row = NDArray[np.float64]


class TransformersCefr:
    """A `CefrEngine` for a model in a local folder. Its config may name the levels in any order, or only some.

    `labels` gives the level of each label if the config does not (LABEL_0, LABEL_1 ...). `share` is of
    the card's memory. float16 does not work: mDeBERTa overflows in it.

    Raises:
        StackError: not a classifier, its labels are not CEFR levels, or there is no card.
    """

    def __init__(
        self,
        model: Path,
        *,
        device: str = "cuda",
        share: float | None = None,
        dtype: str = "float32",
        labels: Mapping[str, str] | None = None,
        max_batch: int = 16,
    ) -> None:
        self.max_batch = max_batch
        self._device = claim(device, share)
        self._model, self._tokenizer = _load(model, getattr(torch, dtype))
        named: dict[int, str] = self._model.config.id2label
        self._columns = _columns([named[i] for i in range(len(named))], labels or {})
        self._known = set(self._columns.nonzero()[1].tolist())
        self._model.to(self._device)
        positions = getattr(self._model.config, "max_position_embeddings", LONGEST_TOKENS)
        self._longest = min(positions, LONGEST_TOKENS, self._tokenizer.model_max_length)
        self._remembered: OrderedDict[str, Row] = OrderedDict()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="cefr")
        self._read(["Um texto."])  # the first pass on a card takes seconds

    async def classify_batch(self, requests: Sequence[tuple[str, Sequence[str]]]) -> list[LevelEstimate]:
        """Run all texts that are not cached through the model together; see `classify`."""
        learners = [[*earlier, text] for text, earlier in requests]
        return await asyncio.get_running_loop().run_in_executor(self._pool, timed(self._estimate), learners)

    async def classify(self, text: str, earlier: Sequence[str] = ()) -> LevelEstimate:
        """Estimate from all utterances, weighted by their words; no level under four words altogether."""
        return (await self.classify_batch([(text, earlier)]))[0]

    def _estimate(self, learners: Sequence[Sequence[str]]) -> list[LevelEstimate]:
        counted = [{i: n for i, text in enumerate(texts) if (n := len(_WORD.findall(text)))} for texts in learners]
        told = [sum(counts.values()) >= FEWEST_WORDS for counts in counted]
        wanted = {texts[i] for texts, counts, tell in zip(learners, counted, told, strict=True) if tell for i in counts}
        rows = self._rows(wanted)
        return [
            self._average([rows[texts[i]] for i in counts], list(counts.values()))
            if tell
            else LevelEstimate(level=None, confidence=0.0)
            for texts, counts, tell in zip(learners, counted, told, strict=True)
        ]

    def _rows(self, texts: set[str]) -> dict[str, Row]:
        """The probabilities of the levels, shape [6], by text."""
        new = sorted(texts - self._remembered.keys(), key=len)  # similar lengths together: little padding
        for first in range(0, len(new), CEFR_TEXTS_AT_ONCE):
            some = new[first : first + CEFR_TEXTS_AT_ONCE]
            self._remembered.update(zip(some, self._read(some), strict=True))
        rows = {}
        for text in texts:
            self._remembered.move_to_end(text)
            rows[text] = self._remembered[text]
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return rows

    @torch.inference_mode()
    def _read(self, texts: list[str]) -> Row:
        """One pass of the model: the probabilities of the levels, shape [texts, 6]."""
        inputs = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
        ).to(self._device)
        shares = self._model(**inputs).logits.double().softmax(-1).cpu().numpy()
        return shares @ self._columns

    def _average(self, rows: Sequence[Row], words: Sequence[int]) -> LevelEstimate:
        mean = np.average(rows, axis=0, weights=words)
        probabilities = {
            level: float(p) for i, (level, p) in enumerate(zip(LEVELS, mean, strict=True)) if i in self._known
        }
        level = max(probabilities, key=probabilities.__getitem__)
        return LevelEstimate(level, probabilities[level], probabilities, len(rows))


def _load(model: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    wrong = f"cefr: {model} is no text classifier of transformers"
    logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
        classifier, info = AutoModelForSequenceClassification.from_pretrained(
            model, dtype=dtype, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise StackError(f"{wrong}: {first_line(error)}") from error
    if missing := sorted(info["missing_keys"]):
        raise StackError(f"{wrong}: it has no weights '{missing[0]}'.")
    return classifier.eval(), tokenizer


def _columns(names: Sequence[str], labels: Mapping[str, str]) -> Row:
    """Matrix [labels, 6] of 0 and 1: which label of the model is which level."""
    columns = np.zeros((len(names), len(LEVELS)))
    for i, name in enumerate(names):
        level = labels.get(name, name).strip().upper()
        if level not in LEVELS:
            raise StackError(
                f"cefr: the model has a label '{name}'; say in the YAML which level it is: cefr.labels: {{{name}: A1}}"
            )
        columns[i, LEVELS.index(level)] = 1
    return columns
