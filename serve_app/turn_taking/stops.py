"""When a pause ends the turn: each strategy says how long to wait; in `semantic_vad` several votes decide together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from serve_app.turn_taking.clauses import Reading
from serve_app.turn_taking.events import StopReason
from serve_app.turn_taking.patience import EAGERNESS, Patience
from serve_app.turn_taking.pause import Pause
from serve_app.turn_taking.settings import TurnSettings

Vote = Callable[[Pause], float]
"""Log odds that the learner has finished, as far as this vote knows; 0 for "I cannot tell"."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The silence (seconds) after which the turn ends, and the probability that the learner has finished."""

    seconds: float
    reason: StopReason
    probability: float


StopStrategy = Callable[[Pause], Wait]


MOST_ARE_ENDS = 0.6
"""The probability where only the silence is asked: most pauses end a turn."""


def fixed_silence(settings: TurnSettings) -> StopStrategy:
    """`server_vad`: whatever was said."""
    return lambda _: Wait(settings.silence_duration_ms / 1000, "silence", MOST_ARE_ENDS)


WORDS: dict[Reading, float] = {
    "hold": -8.0,
    "filler": -7.0,
    "unfinished": -7.0,
    "open": -1.5,
    "complete": 1.0,
    "question": 2.0,
}

QUICK_S = 0.3
"""The wait where all votes agree that the learner has finished."""

SURE, UNDECIDED, UNLIKELY = 4.0, 3.2, -2.0
"""Log odds: from SURE on the wait is `QUICK_S`, from UNDECIDED down to 0 the patience, and below 0 more of it, up to
`STRETCH` of it at UNLIKELY. Fitted to the development sentences of bench/turn_taking.py."""

STRETCH, HELD = 1.6, 2.0
"""Factors of the patience: where more is likely to come, and where the learner asked for time."""


def by_sound(pause: Pause) -> float:
    """Smart Turn's probability, which is more often sure than right."""
    if pause.finished is None:
        return 0.0
    p = min(max(pause.finished, 0.01), 0.99)
    return math.log(p / (1 - p))


def by_words(pause: Pause) -> float:
    """How the transcript ends."""
    return 0.0 if pause.reading is None else WORDS[pause.reading]


VOTES: tuple[Vote, ...] = (by_sound, by_words)


def by_votes(settings: TurnSettings, patience: Patience, *, after_question: bool) -> StopStrategy:
    """`semantic_vad`: the surer the votes together, the shorter the wait."""
    longest = patience.seconds(settings, after_question=after_question)
    quick = QUICK_S * EAGERNESS[settings.eagerness]

    def wait(pause: Pause) -> Wait:
        odds = sum(vote(pause) for vote in VOTES)
        probability = 1 / (1 + math.exp(-odds))
        if pause.reading == "hold":
            return Wait(longest * HELD, "patience", probability)
        points = (UNLIKELY, 0.0, UNDECIDED, SURE)
        seconds = float(np.interp(odds, points, (STRETCH * longest, longest, longest, quick)))
        return Wait(seconds, "finished" if odds > UNDECIDED else "patience", probability)

    return wait
