"""How the tutor speaks to a learner of each level: length, tenses, speed, and a hint for a larger LLM."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.protocols import LEVELS


@dataclass(frozen=True, slots=True)
class LevelStyle:
    """What a learner of one level understands without effort."""

    level: str
    longest_reply: int
    """Words, the question included."""
    longest_sentence: int
    """Words."""
    tenses: tuple[str, ...]
    """Those the reply may use, by their English names; each level has those of the level below."""
    speed: float
    """Of the voice, where neither the client nor the YAML chose one."""
    hint: str
    """A line for the system prompt."""


_A1 = ("present", "imperative")
_A2 = (*_A1, "preterite", "imperfect", "near future")
_B1 = (*_A2, "conditional", "future", "future subjunctive")
_B2 = (*_B1, "present subjunctive", "imperfect subjunctive", "compound past", "pluperfect", "passive")
_C1 = (*_B2, "compound subjunctive", "personal infinitive", "future perfect")

_STYLES = (
    LevelStyle("A1", 16, 7, _A1, 0.88, "Everyday words only, present tense, sentences of at most seven words."),
    LevelStyle("A2", 22, 10, _A2, 0.94, "Frequent words, present and simple past, short main clauses."),
    LevelStyle(
        "B1", 30, 15, _B1, 1.0, "Common words and connectives such as 'quando' and 'porque'; one idea a sentence."
    ),
    LevelStyle(
        "B2", 38, 20, _B2, 1.0, "Natural Portuguese with reasons and opinions; the subjunctive where it belongs."
    ),
    LevelStyle("C1", 46, 26, _C1, 1.0, "Rich and precise words, idioms, abstract subjects, complex sentences."),
    LevelStyle(
        "C2", 54, 32, _C1, 1.0, "As to an educated native speaker: nuance, irony, rare words, any construction."
    ),
)


def style_of(level: str | None) -> LevelStyle:
    """The style for `level`; that of A2 where nothing is known yet.

    Raises:
        ValueError: not a CEFR level.
    """
    return _STYLES[LEVELS.index(level or "A2")]


def speed_of(level: str | None) -> float:
    """The speed of the voice for `level`; 1.0 where nothing is known yet."""
    return style_of(level).speed if level else 1.0
