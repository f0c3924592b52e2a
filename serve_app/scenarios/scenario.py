"""What a scenario file holds, typed. The format is described in docs/lessons.md."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from serve_app.errors import did_you_mean
from serve_app.protocols import LEVELS, CefrLevel

Kind = Literal["role-play", "talk", "placement"]
"""talk: no scene and no steps. placement: questions of rising difficulty, whose answers are for the level estimate."""

BANDS = ("A", "B", "C")
LONGEST_TEXT = 300
"""Characters of one text that the tutor says."""
LONGEST_PATTERN = 500
SLUG = r"^[a-z0-9]+(?:-[a-z0-9]+)*$"
_ENDS = (".", "!", "?", "…")


class Part(BaseModel):
    """Refuses unknown keys with the nearest known one, in a form that keeps the key's place in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    @model_validator(mode="before")
    @classmethod
    def _know_every_key(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                raise ValueError(f"{key}: {did_you_mean('key', str(key), cls.model_fields)}")
        return data


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _said(text: str) -> str:
    text = " ".join(text.split())
    if not text.endswith(_ENDS):
        raise ValueError(f"what the tutor says ends with one of {' '.join(_ENDS)}, not {text[-20:]!r}")
    return text


def _compiled(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return pattern


def _banded(value: Any) -> Any:
    """One text for all levels, or texts by band or level."""
    if isinstance(value, str | list):
        return {"A": value}
    for key in value if isinstance(value, dict) else ():
        if key not in (*BANDS, *LEVELS):
            raise ValueError(f"{key}: {did_you_mean('band or level', str(key), (*BANDS, *LEVELS))}")
    return value


Word = Annotated[str, Field(min_length=1, max_length=60)]
Said = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT), BeforeValidator(str), BeforeValidator(_said)]
Pattern = Annotated[str, Field(min_length=1, max_length=LONGEST_PATTERN), BeforeValidator(_compiled)]
Texts = Annotated[
    dict[str, Annotated[list[Said], Field(min_length=1, max_length=10), BeforeValidator(_listed)]],
    Field(min_length=1),
    BeforeValidator(_banded),
]
"""Texts that the tutor says, by band (A, B, C) or level; the file may have one text or a list instead."""
Words = Annotated[dict[str, Annotated[list[Word], Field(max_length=30)]], BeforeValidator(_banded)]


def for_level(texts: dict[str, list[str]], level: str) -> list[str]:
    """Those of the level, else of its band, else of the nearest band below, else the first there are."""
    bands = BANDS[: BANDS.index(level[0]) + 1]
    found = next((texts[key] for key in (level, *reversed(bands)) if key in texts), None)
    return found if found is not None else next(iter(texts.values()), [])


class Signs(Part):
    """How something is recognised in what the learner says; one sign is enough."""

    words: list[Word] = Field(default_factory=list, max_length=60)
    """Words or phrases, in the singular; a plural in -s counts as well."""
    patterns: list[Pattern] = Field(default_factory=list, max_length=20)
    """Regular expressions, in lower case."""
    answer: list[Pattern] = Field(default_factory=list, max_length=20)
    """Regular expressions that count only as the answer to the question just asked: "sim"."""
    answer_words: Annotated[int, Field(ge=1, le=30)] | None = None
    """Any answer of so many words to the question just asked."""

    @model_validator(mode="after")
    def _some_sign(self) -> Signs:
        if not (self.words or self.patterns or self.answer or self.answer_words):
            raise ValueError("give at least one of words, patterns, answer, answer_words")
        return self

    @cached_property
    def _words(self) -> re.Pattern[str] | None:
        return _any_of([rf"\b{re.escape(word.lower())}s?\b" for word in self.words])

    @cached_property
    def _patterns(self) -> re.Pattern[str] | None:
        return _any_of(self.patterns)

    @cached_property
    def _as_answer(self) -> re.Pattern[str] | None:
        return _any_of(self.answer)

    def seen_in(self, utterance: str, *, asked: bool = False, told: str | None = None) -> bool:
        """Whether one of them is in the utterance; `asked`: it answers the question that they belong to.

        `told` is the utterance without what it only asks about: no words are looked for there.
        """
        text = utterance.lower()
        if _found(self._words, text if told is None else told.lower()) or _found(self._patterns, text):
            return True
        long_enough = self.answer_words is not None and len(re.findall(r"\w+", text)) >= self.answer_words
        return asked and (_found(self._as_answer, text) or long_enough)


def _any_of(patterns: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns)) if patterns else None


def _found(pattern: re.Pattern[str] | None, text: str) -> bool:
    return pattern is not None and pattern.search(text) is not None


class Step(Part):
    """One thing to do in the scene."""

    id: Annotated[str, Field(pattern=SLUG, max_length=40)]
    title: Annotated[str, Field(min_length=1, max_length=80)]
    """What the learner does, to be shown: "Pedir a conta"."""
    ask: Texts
    """What the tutor says to bring the learner to it; the first again after the last."""
    done: Signs
    say: Texts | None = None
    """What the tutor says when it is done."""


class Answer(Part):
    """What the tutor answers when the learner asks for it."""

    when: Signs
    say: Texts


class Scenario(Part):
    """One scenario; its id is the name of its file."""

    id: Annotated[str, Field(pattern=SLUG, max_length=40)]
    title: Annotated[str, Field(min_length=1, max_length=80)]
    kind: Kind = "role-play"
    levels: Annotated[list[CefrLevel], Field(min_length=2, max_length=2)] = Field(default=["A1", "C2"])
    """The lowest and the highest level that it suits."""
    setting: Annotated[str, Field(min_length=1, max_length=400)]
    role: Annotated[str, Field(max_length=200)] = ""
    """Who the tutor is."""
    goal: Annotated[str, Field(min_length=1, max_length=300)]
    opener: Texts
    """What the tutor says first; of a role-play it asks for the first step."""
    words: Words = Field(default_factory=dict)
    reactions: Annotated[list[Said], Field(max_length=12)] = Field(default_factory=list)
    """First words of an answer in the role."""
    answers: Annotated[list[Answer], Field(max_length=30)] = Field(default_factory=list)
    steps: Annotated[list[Step], Field(max_length=12)] = Field(default_factory=list)
    questions: Texts | None = None
    """Of a placement, by level."""
    turns: Annotated[int, Field(ge=3, le=10)] = 5
    """Answers of a placement."""
    closing: Texts | None = None
    """What the tutor says when the goal is reached."""

    @field_validator("levels")
    @classmethod
    def _in_order(cls, levels: list[CefrLevel]) -> list[CefrLevel]:
        if LEVELS.index(levels[0]) > LEVELS.index(levels[1]):
            raise ValueError("the lowest level comes first")
        return levels

    @model_validator(mode="after")
    def _whole(self) -> Scenario:
        needed = {"role-play": ("role", "steps", "closing"), "placement": ("questions", "closing"), "talk": ()}
        for name in needed[self.kind]:
            if not getattr(self, name):
                raise ValueError(f"{name}: a scenario of kind {self.kind} needs '{name}'")
        for name in (
            {"steps", "questions", "answers"} - set(needed[self.kind]) - {"answers" * (self.kind == "role-play")}
        ):
            if getattr(self, name):
                raise ValueError(f"{name}: a scenario of kind {self.kind} has no '{name}'")
        ids = [step.id for step in self.steps]
        if twice := next((one for one in ids if ids.count(one) > 1), None):
            raise ValueError(f"steps: two steps have the id '{twice}'")
        missing = [level for level in LEVELS if level not in self.questions] if self.questions else []
        if missing:
            raise ValueError(f"questions: there are none for {', '.join(missing)}")
        return self

    def step(self, step_id: str) -> Step | None:
        return next((step for step in self.steps if step.id == step_id), None)

    def listed(self) -> dict[str, Any]:
        """As GET /api/scenarios shows it."""
        return {
            "id": self.id,
            "title": self.title,
            "kind": self.kind,
            "levels": list(self.levels),
            "setting": self.setting,
            "role": self.role,
            "goal": self.goal,
            "words": {key: list(words) for key, words in self.words.items()},
            "steps": [{"id": step.id, "title": step.title} for step in self.steps],
            "turns": self.turns if self.kind == "placement" else None,
        }

    def texts(self) -> list[str]:
        """All that the tutor may say in it, as it is written here."""
        tables = [self.opener, self.closing, self.questions, *(answer.say for answer in self.answers)]
        tables += [table for step in self.steps for table in (step.ask, step.say)]
        return [*self.reactions, *(text for table in tables if table for texts in table.values() for text in texts)]
