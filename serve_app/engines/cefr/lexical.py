"""The CEFR engine that needs no downloaded model: word frequencies, small grammar rules, a few weights.

Five logistic regressions on the same features answer "at least A2?" to "at least C2?" for an utterance.
`scripts/fit_cefr.py` fits them and explains how, `bench/cefr.py` measures the accuracy. The log-odds of
a learner's utterances are averaged and multiplied by a gain that depends on how many there are (also
fitted). Old utterances count as much as recent ones: the level does not change within a conversation,
and using fewer utterances only adds noise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from serve_app.errors import StackError
from serve_app.package_data import data_file
from serve_app.protocols import LEVELS, LevelEstimate
from serve_app.stopwatch import timed

DATA_FILE = data_file("cefr_lexical.json")

# Limits for one utterance, so that a misheard word cannot outweigh a conversation. They fall from A2 to C2, so that
# of two levels at the limit the higher one stays the less likely.
MOST_LOG_ODDS = 4.0 + np.arange(5)[::-1]
LEAST_LOG_ODDS = -4.0 - np.arange(5)
REMEMBERED = 4096  # texts whose features are cached: a client sends `earlier` again with every turn

Floats = NDArray[np.float64]


class Model(BaseModel):
    """The fitted numbers, as written by `scripts/fit_cefr.py`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: list[str]
    levels: list[str]
    weights: list[list[float]]
    """Per question ("at least A2?" first), per feature, on the raw features."""
    biases: list[float]
    gains: list[float]
    """Factors for the mean log-odds of 1, 2, ... utterances; the last one is used for more."""
    agreement: float
    """How often the level of a single text is the level of its speaker."""
    penalty: float

    @model_validator(mode="after")
    def _shapes(self) -> Model:
        questions = len(LEVELS) - 1
        if tuple(self.levels) != LEVELS or len(self.biases) != questions or not self.gains:
            raise ValueError("levels, biases or gains do not fit the CEFR levels")
        if [len(row) for row in self.weights] != [len(self.features)] * questions:
            raise ValueError("weights must be one row a question, one number a feature")
        return self

    def log_odds(self, x: Floats) -> Floats:
        """Log-odds of "at least A2", ..., "at least C2" for features of shape [..., features]."""
        odds = x @ np.array(self.weights).T + np.array(self.biases)
        # The five are fitted separately: keep "at least" a higher level from being more likely than a lower one.
        return np.minimum.accumulate(np.clip(odds, LEAST_LOG_ODDS, MOST_LOG_ODDS), axis=-1)

    def probabilities(self, log_odds: Floats) -> Floats:
        """Probability per level, from the log-odds of one learner's utterances, shape [utterances, 5]."""
        gain = self.gains[min(len(log_odds), len(self.gains)) - 1]
        shown = level_probabilities(gain * log_odds.mean(axis=0))
        # What `agreement` leaves goes to the two neighbouring levels; at either end there is only one.
        aside = shown * (1 - self.agreement) / 2
        told = shown - 2 * aside
        told[1:] += aside[:-1]
        told[:-1] += aside[1:]
        told[0] += aside[0]
        told[-1] += aside[-1]
        return told


def level_probabilities(log_odds: Floats) -> Floats:
    """Probability per level, shape [..., 6], from the decreasing log-odds of the five questions, shape [..., 5]."""
    at_least = 1 / (1 + np.exp(-log_odds))
    edge = np.ones((*log_odds.shape[:-1], 1))
    return -np.diff(np.concatenate([edge, at_least, 0 * edge], axis=-1), axis=-1)


def load_model(path: Path = DATA_FILE) -> Model:
    """Read the data file; raises StackError if it is missing or invalid."""
    try:
        return Model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StackError(
            f"cannot read {path.name} of the CEFR engine ({error.strerror}); run scripts/fit_cefr.py",
            stage="cefr",
        ) from error
    except ValidationError as error:
        raise StackError(f"{path.name} of the CEFR engine is damaged; run scripts/fit_cefr.py", stage="cefr") from error


class LexicalCefr:
    """A `CefrEngine`. Takes about a second to create (two word lists) and under a millisecond an utterance."""

    max_batch = 1

    def __init__(self, data_file: Path = DATA_FILE) -> None:
        self._model = load_model(data_file)
        try:  # imported here to keep the import of this module cheap; the lists are loaded before the first turn
            from serve_app.engines.cefr import lexical_features
        except ImportError as error:
            raise StackError(
                f"the CEFR engine `lexical` needs wordfreq and simplemma ({error.name} is missing)",
                stage="cefr",
            ) from error
        if tuple(self._model.features) != lexical_features.FEATURES:
            raise StackError(f"{data_file.name} is of another version; run scripts/fit_cefr.py", stage="cefr")
        self._features = lru_cache(REMEMBERED)(lexical_features.features)
        self._features("a primeira frase carrega as listas de palavras")

    async def classify_batch(self, requests: Sequence[tuple[str, Sequence[str]]]) -> list[LevelEstimate]:
        """One estimate after the other; see `classify`."""
        return [await self.classify(text, earlier) for text, earlier in requests]

    async def classify(self, text: str, earlier: Sequence[str] = ()) -> LevelEstimate:
        """Estimate from all utterances of at least four known words; shorter ones are ignored."""
        return await asyncio.to_thread(timed(self._estimate), [*earlier, text])

    def _estimate(self, texts: list[str]) -> LevelEstimate:
        rows = [row for text in texts if (row := self._features(text)) is not None]
        if not rows:
            return LevelEstimate(level=None, confidence=0.0)
        told = self._model.probabilities(self._model.log_odds(np.array(rows)))
        probabilities = {level: float(p) for level, p in zip(LEVELS, told, strict=True)}
        level = max(probabilities, key=probabilities.__getitem__)
        return LevelEstimate(level, probabilities[level], probabilities, len(rows))
