"""What the tutor brings back: what is due, what the learner told, and that something was right this time."""

from __future__ import annotations

import re
from collections.abc import Sequence

from serve_app.teaching.follow_ups import follow_up
from serve_app.teaching.memory import Due, Memory
from serve_app.teaching.second_person import said_back
from serve_app.teaching.utterance_kind import Kind

EVERY = 3
"""At most one of so many replies brings something back."""
LONGEST_NOTICED = 40
"""Characters of what is said again because it was right."""

NOTICED = 'Isso, "{}"!'
_REMEMBER = "Você se lembra"
_TOLD = "Outro dia você contou que"
_SIGNS = (_REMEMBER, _TOLD, "Da outra vez")
_INVITING: tuple[Kind, ...] = ("neutral", "glad", "greeting", "understood", "thanks")
_PRAISING: tuple[Kind, ...] = ("neutral", "glad")


def noticed(memory: Memory, kind: Kind) -> str:
    """That something was right this time: 'Isso, "fui à praia"!'; "" where it does not fit."""
    if kind not in _PRAISING:
        return ""
    fit = [use for use in memory.recalled if len(use) <= LONGEST_NOTICED]
    return NOTICED.format(max(fit, key=len)) if fit else ""


def invited(memory: Memory, kind: Kind, level: str, replies: Sequence[str]) -> str:
    """A question that invites something due; "" where there is nothing, or it is not the moment."""
    if kind not in _INVITING or any(sign in reply for reply in replies[-EVERY + 1 :] for sign in _SIGNS):
        return ""
    asked = (_invitation(due, level, replies) for due in memory.due if due.use not in memory.recalled)
    fresh = (question for question in asked if question and not any(question in reply for reply in replies))
    return next(fresh, "")


def from_before(memory: Memory, level: str) -> str:
    """The question with which a new conversation goes on from earlier ones."""
    told = dict(memory.told)
    if question := invited(memory, "greeting", level, ()):
        return question
    if home := told.get("home"):
        return f"Da outra vez você contou que mora {home}. Como estão as coisas por lá?"
    pet = next((value for about, value in told.items() if about.startswith("pet:")), "")
    if pet.split()[:1] and pet.split()[0] in ("um", "uma"):
        return f"Da outra vez você contou que tem {pet}. Como {'ele' if pet.startswith('um ') else 'ela'} está?"
    if work := told.get("work"):
        return f"Da outra vez você contou que é {work}. Como vai o trabalho?"
    return ""


def _invitation(due: Due, level: str, replies: Sequence[str]) -> str:
    if not due.sentence:
        if due.said and due.said.lower() != due.use.lower():
            return f'{_REMEMBER}: como se diz "{due.said}"?'
        return f'{_REMEMBER} da palavra "{due.use}"? Diga uma frase com ela.'
    back = said_back(due.sentence)
    # The learner hears what it was about, not the form that they are to find: "você foi" asks for "fui".
    if back.whole and due.use.lower() not in back.text.lower() and back.text.startswith("Você "):
        question = follow_up(due.sentence, "neutral", level, tuple(replies))
        if question:
            return f"{_TOLD} {back.text.removeprefix('Você ')}. {question}"
    if due.said and due.better:
        before = _word_before(due)
        first, second = sorted(f"{before}{form}" for form in (due.said.lower(), due.better.lower()))
        return f'{_REMEMBER}: a gente diz "{first}" ou "{second}"?'
    return ""


def _word_before(due: Due) -> str:
    """One word alone does not tell what is asked: "eu fui" does."""
    if " " in due.better.strip():
        return ""
    found = re.search(rf"(\w+) {re.escape(due.better)}\b", due.sentence, re.IGNORECASE)
    return f"{found[1].lower()} " if found else ""
