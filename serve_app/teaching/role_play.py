"""Plans the reply of a tutor who plays a role: first words of the role, what was said put right, the scene's next step.

What the learner said is not said back where it was right: a baker does not.
"""

from __future__ import annotations

import re

from serve_app.protocols import ReplyForm
from serve_app.teaching.openings import fresh
from serve_app.teaching.plan import Plan, Role, Said, opening_for, pleased
from serve_app.teaching.recast import recast_beside, right_sentence
from serve_app.teaching.utterance_kind import Kind

_OUT_OF_IT: tuple[Kind, ...] = ("repeat", "thinking", "foreign", "off_task")
"""The learner needs help, or wants something else: the teacher answers."""

_OF_THE_ROLE: tuple[Kind, ...] = ("neutral", "glad", "question", "understood")
"""Kinds that the role's first words fit; a greeting, thanks or bad news have openings of their own."""


_PLEASE = re.compile(r",? por favor\b", re.IGNORECASE)


def in_scene(kind: Kind, role: Role) -> bool:
    """Whether an utterance of this kind is answered in the role. A goodbye is where it ends the scene."""
    return kind not in _OUT_OF_IT and (kind != "goodbye" or role.closes)


def in_role(said: Said, role: Role, kind: Kind, *, opening_on: bool, recast: bool, follow_ups: bool) -> Plan:
    """The reply in the role; whole, unless a question of the learner's has no answer in the scenario, or the LLM is a
    good one (not `follow_ups`): then it writes a sentence before the scene's question."""
    if said.error is not None and said.style == "prompt" and not role.closes:
        choice = f'A gente diz "{said.error.said.lower()}" ou "{said.error.better.lower()}"?'
        opening = _opening(said, role, kind) if opening_on else ""
        return Plan(kind, opening, f"{opening} {choice}".strip(), whole=True)
    shown = ""
    if said.error is not None and said.style == "explicit":
        shown = f'A gente diz "{right_sentence(said)}".'
    elif recast and said.style == "recast":
        shown = _PLEASE.sub("", recast_beside(said))
    opening = _opening(said, role, kind) if opening_on and not (role.say or role.closes) else ""
    begin = " ".join(filter(None, (opening, shown, role.say)))
    written = role.acted and not role.say and (kind == "question" or not (follow_ups or role.closes))
    if written:
        return Plan(kind, opening, begin, ReplyForm(sentence=True, asks=False), end=role.question)
    return Plan(kind, opening, f"{begin} {role.question}".strip(), whole=True)


def _opening(said: Said, role: Role, kind: Kind) -> str:
    if name := pleased(said.utterance):
        return name
    if kind in _OF_THE_ROLE and role.reactions:
        return fresh(role.reactions, said.replies, said=said.utterance)
    return opening_for(kind, said)
