"""A learner's level over a conversation: what is believed after each utterance, and how sure that is.

A Bayesian filter over the six levels. An utterance of a level is taken to come from a learner of that level, or of one
or two levels above, since nobody shows all they can in every sentence ("sim, eu acho que é verdade"). A short utterance
counts less, and no utterance rules a level out, so that a single odd one changes little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serve_app.protocols import LEVELS

WHOLE_WORDS = 10
"""Words of an utterance that counts in full."""

EASY = 0.25
"""Share of a learner's utterances that are one or two levels below what they can."""

DOUBT = 0.1
"""Share of utterances that say nothing about the level: misheard, quoted, recited."""

MOST_SURE = 0.8
"""The surest we get of one level: raters agree on some 80 % of whole texts."""

SHARE = 0.8
"""Of the probability between `low` and `high`, at least."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RunningLevel:
    """What is believed of one learner; immutable, `after` makes the next one."""

    log_odds: tuple[float, ...] = (0.0,) * len(LEVELS)
    """Sum of the utterances' log-likelihoods per level."""
    utterances: int = 0

    def after(self, probabilities: Mapping[str, float], words: int) -> RunningLevel:
        """The belief after one more utterance of so many words; `probabilities` are the classifier's for it alone.

        No probabilities (too short to tell) change nothing.
        """
        if not probabilities:
            return self
        said = np.array([probabilities.get(level, 0.0) for level in LEVELS])
        likelihood = DOUBT / len(LEVELS) + (1 - DOUBT) * _SAYS @ said
        more = min(1.0, words / WHOLE_WORDS) * np.log(likelihood)
        return RunningLevel(tuple((np.array(self.log_odds) + more).tolist()), self.utterances + 1)

    @property
    def probabilities(self) -> dict[str, float]:
        """Per level; they sum to 1."""
        log_odds = np.array(self.log_odds)
        belief = np.exp(log_odds - log_odds.max())
        return dict(zip(LEVELS, (_NEIGHBOURS @ (belief / belief.sum())).tolist(), strict=True))

    @property
    def level(self) -> str | None:
        """The most likely level; None before the first utterance that told anything."""
        probabilities = self.probabilities
        return max(probabilities, key=probabilities.__getitem__) if self.utterances else None


def uncertainty(probabilities: Mapping[str, float]) -> float:
    """Standard deviation in levels: 0 is certain, 1.71 is no idea (all six alike)."""
    p = np.array([probabilities.get(level, 0.0) for level in LEVELS])
    steps = np.arange(len(LEVELS))
    mean = p @ steps
    return float(np.sqrt(p @ (steps - mean) ** 2))


def likely_range(probabilities: Mapping[str, float]) -> tuple[str, str]:
    """The fewest neighbouring levels, lowest and highest, that hold at least `SHARE` of the probability."""
    p = np.array([probabilities.get(level, 0.0) for level in LEVELS])
    for size in range(1, len(LEVELS)):
        held = np.convolve(p, np.ones(size), "valid")
        if held.max() >= SHARE - 1e-9:
            low = int(held.argmax())
            return LEVELS[low], LEVELS[low + size - 1]
    return LEVELS[0], LEVELS[-1]


def _says() -> Floats:
    """[learner's level, utterance's level]: how often the one says the other."""
    says = np.eye(len(LEVELS)) * (1 - EASY)
    for level in range(len(LEVELS)):
        for below in (1, 2):
            says[level, max(0, level - below)] += EASY / 2
    return says


def _neighbours() -> Floats:
    """Moves what `MOST_SURE` leaves to the neighbouring levels."""
    moved = np.eye(len(LEVELS)) * MOST_SURE
    for level in range(len(LEVELS)):
        for near in (level - 1, level + 1):
            moved[near if 0 <= near < len(LEVELS) else level, level] += (1 - MOST_SURE) / 2
    return moved


_SAYS = _says()
_NEIGHBOURS = _neighbours()
