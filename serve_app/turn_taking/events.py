"""What a `TurnDetector` reports. All times are seconds of audio since the first sample that it was fed.

SpeechStarted -> (Paused -> LikelyEnd?)* -> SpeechStopped      the learner said something
SpeechStarted -> Paused? -> FalseStart                         it was nothing: whoever fell silent goes on
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

StopReason = Literal["silence", "finished", "patience"]
"""silence: as long as `silence_duration_ms`; finished: what was said sounds and reads complete; patience: a pause
longer than this learner needs."""

FalseStartReason = Literal["too_short", "backchannel", "echo"]
"""too_short: a cough or a click; backchannel: "aham", which does not ask for the floor; echo: the tutor's own words."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody speaks.

    `at_s` is where the utterance's audio is to begin (`prefix_padding_ms` before the voice). `over_tutor`: the tutor
    was speaking, so its voice should stop; it may go on where it was if a `FalseStart` follows.
    """

    at_s: float
    over_tutor: bool = False


@dataclass(frozen=True, slots=True)
class Paused:
    """The voice fell silent: a good moment to transcribe the utterance up to `at_s` and tell `TurnDetector.heard`."""

    at_s: float


@dataclass(frozen=True, slots=True)
class LikelyEnd:
    """A pause that may be the end: work on the answer may begin, but nothing of it may be heard yet.

    `probability` (0..1) that the learner has finished. At most once a pause; a learner who goes on is not reported:
    the next event is a `Paused` or the `SpeechStopped`.
    """

    at_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The learner has finished: it is the tutor's turn.

    `at_s` is the time of the decision and the end of the utterance's audio; `voice_end_s` where the voice ended.
    """

    at_s: float
    reason: StopReason
    voice_end_s: float


@dataclass(frozen=True, slots=True)
class FalseStart:
    """What was taken for speech was none that asks for an answer; the utterance is to be thrown away."""

    at_s: float
    reason: FalseStartReason


TurnEvent = SpeechStarted | Paused | LikelyEnd | SpeechStopped | FalseStart
