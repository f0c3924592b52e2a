"""How long a learner's pauses are: first by level, then as they turn out to be."""

from __future__ import annotations

from serve_app.turn_taking.settings import Eagerness, TurnSettings

EAGERNESS: dict[Eagerness, float] = {"low": 1.4, "medium": 1.0, "auto": 1.0, "high": 0.7}
"""Factors of the patience."""

AFTER_A_QUESTION = 1.25
"""Factor while the learner answers a question: thinking is part of it."""

_GAIN = 0.15
"""How much of each new pause goes into the averages."""

_DEVIATIONS = 3.0

_HALF_KNOWN = 8
"""Pauses after which the learner's own count as much as the level."""

_LEAST_S = 0.2
"""A shorter silence is a part of fluent speech."""

_SHORTEST, _LONGEST = 0.7, 1.5
"""Bounds of what is learned, as factors of the patience by level."""


class Patience:
    """The longest pause that one speaker is given where neither words nor sound tell whether more comes.

    The moving averages of the speaker's pauses and of their deviation make a bound that most pauses keep, as TCP
    estimates when an answer is overdue (RFC 6298).
    """

    def __init__(self) -> None:
        self._mean_s: float | None = None
        self._deviation_s = 0.0
        self._count = 0

    def learn(self, pause_s: float) -> None:
        """The speaker went on after such a pause."""
        if pause_s < _LEAST_S:
            return
        self._count += 1
        if self._mean_s is None:
            self._mean_s, self._deviation_s = pause_s, pause_s / 2
        else:
            self._deviation_s += _GAIN * (abs(pause_s - self._mean_s) - self._deviation_s)
            self._mean_s += _GAIN * (pause_s - self._mean_s)

    def seconds(self, settings: TurnSettings, *, after_question: bool) -> float:
        """The patience now."""
        prior = settings.patience_by_level[settings.level] if settings.patience_s is None else settings.patience_s
        own = prior
        if self._mean_s is not None:
            bound = self._mean_s + _DEVIATIONS * self._deviation_s
            known = self._count / (self._count + _HALF_KNOWN)
            own = min(max(prior + known * (bound - prior), _SHORTEST * prior), _LONGEST * prior)
        return own * EAGERNESS[settings.eagerness] * (AFTER_A_QUESTION if after_question else 1.0)
