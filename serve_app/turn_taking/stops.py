"""When a pause ends the turn: each strategy says how long to wait; in `semantic_vad` several votes decide together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

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


SOUND_WEIGHT = 1.0
WORDS: dict[Reading, float] = {
    "hold": -8.0,
    "filler": -4.0,
    "unfinished": -4.0,
    "open": -1.0,
    "complete": 1.0,
    "question": 2.5,
}
STRETCH: dict[Reading, float] = {"hold": 2.0, "filler": 1.5, "unfinished": 1.5}
"""Factors of the patience where the words say that more comes."""

QUICK_S = 0.3
"""The wait where all votes agree that the learner has finished."""

SURE, UNSURE = 3.0, 0.0
"""Log odds from which the wait is `QUICK_S`, and below which it is the patience."""


def by_sound(pause: Pause) -> float:
    """Smart Turn's probability, which is more often sure than right."""
    if pause.finished is None:
        return 0.0
    p = min(max(pause.finished, 0.01), 0.99)
    return SOUND_WEIGHT * math.log(p / (1 - p))


def by_words(pause: Pause) -> float:
    """How the transcript ends."""
    return 0.0 if pause.reading is None else WORDS[pause.reading]


def by_votes(settings: TurnSettings, patience: Patience, *, after_question: bool) -> StopStrategy:
    """`semantic_vad`: the surer the votes together, the shorter the wait, from the patience down to `QUICK_S`."""
    longest = patience.seconds(settings, after_question=after_question)
    quick = QUICK_S * EAGERNESS[settings.eagerness]

    def wait(pause: Pause) -> Wait:
        odds = by_sound(pause) + by_words(pause)
        probability = 1 / (1 + math.exp(-odds))
        if pause.reading in STRETCH:
            return Wait(longest * STRETCH[pause.reading], "patience", probability)
        sure = min(max((odds - UNSURE) / (SURE - UNSURE), 0.0), 1.0)
        seconds = longest + sure * (quick - longest)
        return Wait(seconds, "finished" if sure > 0 else "patience", probability)

    return wait
