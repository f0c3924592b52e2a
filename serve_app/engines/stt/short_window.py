"""How much of Whisper's window of 30 s is encoded, and when what it wrote there is not trusted.

The speech and a margin are enough, and take half of the time for an utterance of a few seconds. A doubtful result is
heard again in the whole window, as Whisper was trained, and in another language if it sounds like one. These rules are
the same for both engines.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FRAMES_PER_S = 100

WHOLE_FRAMES = 3000
"""The window that Whisper was trained on."""

MARGIN_FRAMES = 200
"""Silence encoded after the speech: with none, Whisper's last words are at the edge and get lost."""

LEAST_FRAMES = 500
"""In a window of 3 s a single word came out again and again."""

STEP_FRAMES = 100

DOUBTFUL_LOGPROB = -1.0
"""Mean log-probability of a token below which the whole window is tried; that of clean speech is -0.1 to -0.4."""

FOREIGN_LOGPROB = -0.7
"""Mean log-probability below which another language is tried."""

FOREIGN_LEAST_S = 1.0
"""A recording up to this long is not tried in another language: a single word sounds like any."""

FOREIGN_PROBABILITY = 0.5
"""Least probability of the other language, by the first token."""

FLUENT_LOGPROB = -0.5
"""Least mean log-probability in the other language: what is only a strong accent makes no likely text there."""

REPETITIVE_RATIO = 2.4
"""Text that zlib makes smaller than this says the same again and again; Whisper's own limit."""


def frames_to_encode(sound: int) -> int:
    """The frames (10 ms) to encode for `sound` frames that are not padding."""
    frames = max(LEAST_FRAMES, sound + MARGIN_FRAMES)
    return min(-(-frames // STEP_FRAMES) * STEP_FRAMES, WHOLE_FRAMES)


def compression_ratio(text: str) -> float:
    """By how much zlib makes the text smaller."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


@dataclass(frozen=True, slots=True)
class Certainty:
    """How far the text of a pass can be trusted.

    `logprob` is the mean log-probability of its tokens, `ratio` the largest compression ratio of a part. `at_edge`: it
    goes on to the end of what was encoded, where no sound was.
    """

    logprob: float = -np.inf
    ratio: float = 0.0
    at_edge: bool = False

    @property
    def repetitive(self) -> bool:
        return self.ratio > REPETITIVE_RATIO

    @property
    def doubtful(self) -> bool:
        """Whether the whole window should be tried."""
        return self.repetitive or self.at_edge or self.logprob < DOUBTFUL_LOGPROB

    @property
    def fluent(self) -> bool:
        """Whether it is likely enough to be in another language than the one asked for."""
        return self.logprob >= FLUENT_LOGPROB and not self.repetitive

    def maybe_foreign(self, seconds: float) -> bool:
        """Whether another language should be tried for a recording of that length."""
        return seconds > FOREIGN_LEAST_S and self.logprob < FOREIGN_LOGPROB

    def beats(self, short: Certainty) -> bool:
        """Whether this, of the whole window, is kept instead of what the short one gave."""
        return not self.repetitive and (short.repetitive or short.at_edge or self.logprob > short.logprob)


def combined(parts: Sequence[tuple[float, Certainty]]) -> Certainty:
    """The certainty of several parts, each with its seconds; a part is as heavy as it is long."""
    seconds = sum(length for length, _ in parts)
    return Certainty(
        sum(length * part.logprob for length, part in parts) / seconds if seconds else -np.inf,
        max((part.ratio for _, part in parts), default=0.0),
        any(part.at_edge for _, part in parts),
    )
