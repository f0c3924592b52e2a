"""Puts an error right where the reply is about something else, or where the sentence cannot be said back as it is."""

from __future__ import annotations

import re

from serve_app.teaching.plan import Said
from serve_app.teaching.second_person import said_back, sentences

LONGEST_SHOWN = 12
"""Words of the longest part of a sentence that is quoted with its error put right."""

_CLAUSE = re.compile(r"[^,;:]+")
_BARE = ' .!?…,;:"'


def recast_beside(said: Said) -> str:
    """One sentence that goes before an answer; "" where nothing was put right.

    A statement is said back to the learner ("Você gosta de jogar futebol."), a question is quoted.
    """
    for spoken, right in _changed(said):
        back = said_back(right, spoken)
        if back.whole and not right.rstrip().endswith("?") and len(back.text.split()) <= LONGEST_SHOWN:
            return f"{back.text}."
    return shown_right(said)


def right_sentence(said: Said) -> str:
    """The first sentence that had an error, without it."""
    return next((right for _, right in _changed(said)), said.corrected).rstrip(" .!")


def shown_right(said: Said) -> str:
    """The part of the sentence that had an error, quoted as it is right: 'A gente diz "que os jovens votem".'"""
    for spoken, right in _changed(said):
        if part := _part(spoken, right):
            return f'A gente diz "{part[:1].lower() + part[1:] if _may_be_lowered(part) else part}".'
    return ""


def _changed(said: Said) -> list[tuple[str, str]]:
    """The sentences with an error, each as it was said and as it is right."""
    pairs = zip(sentences(said.utterance), sentences(said.corrected), strict=False)
    return [(spoken, right) for spoken, right in pairs if spoken != right]


def _part(spoken: str, right: str) -> str:
    """The clauses that changed, up to the one that holds the last word changed if they are short enough."""
    before = {clause.strip(_BARE) for clause in _CLAUSE.findall(spoken)}
    clauses = [clause.strip(_BARE) for clause in _CLAUSE.findall(right)]
    changed = next((clause for clause in clauses if clause and clause not in before), "")
    words = changed.split()
    if len(words) <= LONGEST_SHOWN:
        return changed
    said = set(spoken.lower().split())
    at = next((number for number, word in enumerate(words) if word.lower() not in said), 0)
    start = max(0, min(at - LONGEST_SHOWN // 2, len(words) - LONGEST_SHOWN))
    return " ".join(words[start : start + LONGEST_SHOWN])


def _may_be_lowered(part: str) -> bool:
    """Whether the first word is no name, as far as its own letters tell: "Caso", not "ONG"."""
    return part[1:2].islower() or part[1:2] in (" ", "")
