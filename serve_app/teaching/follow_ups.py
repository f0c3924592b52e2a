"""The question that a reply ends with, from a list by topic (`serve_app/data/teaching/topics.json`).

A small model asks "O que mais gostaria de saber?" after everything. These questions fit whatever is said on their
topic, and their sound can be kept. Where no topic is recognised, the tense of what was said decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pydantic import TypeAdapter

from serve_app.package_data import data_file
from serve_app.teaching.utterance_kind import Kind

Mood = Literal["good", "bad", "any"]
LATELY = 4
"""A question does not begin with the first word of one of so many questions before, as far as there are others."""

_MOODS: dict[Kind, tuple[Mood, ...]] = {"grave": ("bad",), "sad": ("bad",), "glad": ("good", "any")}
_FUTURE = re.compile(r"\b(?:vou|vai|vamos|vão|amanhã|próxim[oa]s?|quero|queremos|pretendo|\w+r(?:ei|á|emos|ão))\b")
_PAST = re.compile(
    r"\b(?:ontem|anteontem|passad[oa]s?|era|eram|estava|tinha|foi|fui|fomos|foram|fiz|fez|tive|teve|vim|veio|vi|viu"
    r"|(?!sei|rei|lei)\w{2,}ei|\w{2,}(?:ou|aram|eram|iram|iu)|\w{2,}[bcdfgjlmnrtvz]eu)\b"
)
_OPINION = re.compile(r"\b(?:acho|penso|acredito|opinião|concordo|discordo|deveria\w*|devia\w*|prefiro|importante)\b")
_COMPANY = re.compile(r"\bcom (?:(?:o|a|os|as) )?(?:meu|minha|meus|minhas|uns|umas|um|uma) \w+")
"""Who was there is not what it was about: "cozinhei com meus amigos"."""

_QUESTION = re.compile(r"[^.!?…]*\?")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Topic:
    """Questions on one topic, by the bands A, B and C. `words` show the topic; a general one has none."""

    topic: str
    words: tuple[str, ...]
    questions: dict[str, tuple[str, ...]]
    mood: Mood = "any"


@cache
def topics() -> tuple[Topic, ...]:
    """All topics, the most specific first."""
    return TypeAdapter(tuple[Topic, ...]).validate_json(data_file("teaching/topics.json").read_bytes())


@cache
def _signs() -> tuple[tuple[Topic, re.Pattern[str]], ...]:
    """The topics that words show, each with the pattern of its words."""
    return tuple(
        (topic, re.compile(rf"\b(?:{'|'.join(map(re.escape, topic.words))})\b")) for topic in topics() if topic.words
    )


@cache
def _general() -> dict[str, Topic]:
    return {topic.topic: topic for topic in topics() if not topic.words}


def follow_up(
    utterance: str, kind: Kind | Literal["word"], level: str, replies: Sequence[str], before: str = ""
) -> str:
    """A question on what was said that was not asked before in this conversation; "" if none is left.

    "word": the learner asked about a word.
    `before` is the learner's utterance before this one, whose topic goes on where this one shows none. `replies` are
    the tutor's earlier ones, oldest first.
    """
    asked = [question.strip() for reply in replies for question in _QUESTION.findall(reply)]
    lately = {_first_word(question) for question in asked[-LATELY:]}
    left = [
        question
        for topic in _fitting(utterance, kind, before)
        for question in _of_level(topic, level)
        if question not in asked
    ]
    fresh = (question for question in left if _first_word(question) not in lately)
    return next(fresh, left[0] if left else "")


def all_questions() -> Iterator[str]:
    for topic in topics():
        for questions in topic.questions.values():
            yield from questions


def _fitting(utterance: str, kind: Kind | Literal["word"], before: str) -> Iterator[Topic]:
    if kind == "word":
        yield _general()["word"]
        return
    moods = _MOODS.get(kind, ("any",))
    said = _COMPANY.sub(" ", utterance.lower())
    for mood in moods:
        yield from _on(said, mood)
    if kind in ("grave", "sad"):
        yield _general()["bad"]
        return
    if kind == "glad":
        yield _general()["good"]
    elif len(_WORD.findall(said)) <= 4:  # "Sim." "Não sei."
        yield from _on(before.lower(), "any")
    yield _general()[_time(said)]


def _on(said: str, mood: Mood) -> Iterator[Topic]:
    return (topic for topic, sign in _signs() if topic.mood == mood and sign.search(said))


def _time(said: str) -> str:
    if _OPINION.search(said):
        return "opinion"
    if _PAST.search(said):
        return "past"
    return "future" if _FUTURE.search(said) else "present"


def _of_level(topic: Topic, level: str) -> tuple[str, ...]:
    return topic.questions.get(level[:1], ()) or topic.questions.get("B", ())


def _first_word(question: str) -> str:
    found = _WORD.search(question)
    return found[0].lower() if found else ""
