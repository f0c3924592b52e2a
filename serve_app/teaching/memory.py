"""What the tutor knows of a learner from earlier conversations, as far as a reply is planned from it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Due:
    """Something that should come back. `said` is how it was said wrongly, or the word that was asked for; `better`
    what is right; `sentence` is the learner's, put right."""

    use: str
    said: str = ""
    better: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """What the tutor knows of this learner from before. `told`: {what about: the words that matter}."""

    due: tuple[Due, ...] = ()
    recalled: tuple[str, ...] = ()
    """What was due and is right in the utterance."""
    told: tuple[tuple[str, str], ...] = ()


NOTHING = Memory()
