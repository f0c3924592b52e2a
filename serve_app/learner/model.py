"""What is kept of a learner across conversations. Times are seconds since 1970."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

MOST_WORDS = 2000
MOST_ITEMS = 400
MOST_FACTS = 40
MOST_LEVELS = 200
KNOWN_TURNS = 50
"""Turns that are known by their ids, so that none is learned twice."""

ItemKind = Literal["error", "word"]


@dataclass(frozen=True, slots=True)
class WordUse:
    """A word that the learner said. `right`: how often it was part of no error that was found."""

    first: float
    last: float
    times: int = 1
    right: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """When an item comes back; `state` to `difficulty` are those of fsrs.Card, times in seconds."""

    state: int
    stability: float
    difficulty: float
    due: float
    reviewed: float


@dataclass(frozen=True, slots=True)
class Item:
    """What comes back: an error with what is right, or a word that was asked for or saved.

    `use` is what the learner says when it is right; `sentence` is theirs with the error put right. A word has no
    `rule`, and `said` is what was asked for ("window"), "" if nothing was.
    """

    key: str
    kind: ItemKind
    use: str
    schedule: Schedule
    first: float
    last: float
    rule: str = ""
    said: str = ""
    better: str = ""
    message: str = ""
    sentence: str = ""
    right: int = 0
    wrong: int = 0
    saved: bool = False
    """The learner asked to keep it."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing the learner told: "Você mora em Lyon". `about` names what, "" where they wrote it themselves; `value`
    is the word that matters ("em Lyon")."""

    id: str
    text: str
    about: str
    value: str
    told: float


@dataclass(frozen=True, slots=True)
class LevelAt:
    at: float
    level: str


@dataclass(frozen=True, slots=True)
class Learner:
    """Immutable: each turn makes a new one."""

    created: float
    seen: float
    words: Mapping[str, WordUse] = field(default_factory=dict)
    """By their lemma, the one used last at the end."""
    items: Mapping[str, Item] = field(default_factory=dict)
    facts: tuple[Fact, ...] = ()
    levels: tuple[LevelAt, ...] = ()
    """Where the level changed."""
    turns: tuple[str, ...] = ()
    """Ids of the latest turns."""

    def due(self, now: float) -> list[Item]:
        """The items that should come back by now, the longest overdue first."""
        return sorted((item for item in self.items.values() if item.schedule.due <= now), key=lambda i: i.schedule.due)

    def data(self) -> dict[str, Any]:
        """As JSON; words in short, since there are many."""
        return {
            "created": self.created,
            "seen": self.seen,
            "words": {word: [use.first, use.last, use.times, use.right] for word, use in self.words.items()},
            "items": [asdict(item) for item in self.items.values()],
            "facts": [asdict(fact) for fact in self.facts],
            "levels": [asdict(level) for level in self.levels],
            "turns": list(self.turns),
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Learner:
        items = (Item(**{**item, "schedule": Schedule(**item["schedule"])}) for item in data["items"])
        return cls(
            data["created"],
            data["seen"],
            {word: WordUse(*use) for word, use in data["words"].items()},
            {item.key: item for item in items},
            tuple(Fact(**fact) for fact in data["facts"]),
            tuple(LevelAt(**level) for level in data["levels"]),
            tuple(data["turns"]),
        )
