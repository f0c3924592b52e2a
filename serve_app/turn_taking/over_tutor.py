"""Speech while the tutor speaks: what interrupts it, and what turns out to be none: "aham", a cough, an echo."""

from __future__ import annotations

from difflib import SequenceMatcher

from serve_app.turn_taking.clauses import listed, words
from serve_app.turn_taking.events import FalseStartReason
from serve_app.turn_taking.settings import TurnSettings

THRESHOLD_RAISED = 0.2
"""The voice detector's threshold while the tutor speaks is higher by this: an echo is fainter than a voice."""

HIGHEST_THRESHOLD = 0.9

GRACE_S = 0.5
"""After the tutor's first sound, while a browser's echo cancellation adapts, an interruption takes twice the voice."""

ECHO = 0.7
"""Share of the heard words that the tutor is saying, in their order, from which they are its echo."""

BREAKS_AFTER = 2
"""Echoes in a row after which an interruption takes three times the voice, until a real one comes."""

LONGEST_BACKCHANNEL = 2
"""Words: three of them may be an interruption."""

ECHO_TAIL_S = 0.5
"""The echo of the tutor's last words is still heard for so long."""


class OverTutor:
    """What the learner hears of the tutor, and how a voice over it is judged."""

    def __init__(self) -> None:
        self.speaking = False
        self._text = ""
        self._changed_s = -ECHO_TAIL_S
        self._echoes = 0

    def says(self, text: str | None, now_s: float) -> None:
        """The tutor now says this; None when it has fallen silent."""
        if self.speaking != (text is not None):
            self.speaking, self._changed_s = text is not None, now_s
        if text is not None:
            self._text = text

    def audible(self, now_s: float) -> str | None:
        """What the microphone may hear of the tutor now."""
        return self._text if self.speaking or now_s - self._changed_s < ECHO_TAIL_S else None

    def threshold(self, settings: TurnSettings) -> float:
        """Probability of a voice from which a frame counts."""
        if not self.speaking:
            return settings.threshold
        return max(settings.threshold, min(settings.threshold + THRESHOLD_RAISED, HIGHEST_THRESHOLD))

    def voice_needed_s(self, settings: TurnSettings, now_s: float) -> float:
        """Voice without a gap that interrupts the tutor."""
        factor = 3 if self._echoes >= BREAKS_AFTER else 2 if now_s - self._changed_s < GRACE_S else 1
        return factor * settings.interrupt_ms / 1000

    def judge(self, heard: str, said: str) -> FalseStartReason | None:
        """Whether `heard`, spoken over the tutor's `said`, was no interruption, and why. Counts the echoes."""
        spoken = words(heard)
        if not spoken:
            return "too_short"
        if len(spoken) <= LONGEST_BACKCHANNEL and all(word in listed("backchannel") for word in spoken):
            return "backchannel"
        if is_echo(spoken, words(said)):
            self._echoes += 1
            return "echo"
        self._echoes = 0
        return None


def is_echo(heard: list[str], said: list[str]) -> bool:
    """Whether most of the heard words are the tutor's, in their order; one word alone proves nothing."""
    if len(heard) < 2:
        return False
    same = sum(block.size for block in SequenceMatcher(None, heard, said, autojunk=False).get_matching_blocks())
    return same / len(heard) >= ECHO
