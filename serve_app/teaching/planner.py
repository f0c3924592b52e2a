"""Plans the tutor's reply before the model writes it: what code can decide, code decides.

A small model opens every reply alike, praises bad news, answers in the first person and repeats its questions. So the
opening, the corrected repetition of what was said (recast) and the words a question may begin with are given to it;
it writes what is left. The beginning is known as soon as the transcript is, and can be spoken at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

from serve_app.package_data import data_file
from serve_app.protocols import ReplyForm
from serve_app.teaching.answers import answer_about_word, answer_question, answered_with, answers_from_before
from serve_app.teaching.follow_ups import Special, follow_up
from serve_app.teaching.general_knowledge import known_fact
from serve_app.teaching.known_answers import known_answer
from serve_app.teaching.moods import sure_mood
from serve_app.teaching.openings import fresh, of_replies, openings
from serve_app.teaching.plan import Plan, Said, opening_for, pleased, question_form
from serve_app.teaching.recall import from_before, invited, noticed
from serve_app.teaching.recast import recast_beside, right_sentence, shown_right
from serve_app.teaching.requests import Request, requested
from serve_app.teaching.role_play import in_role, in_scene
from serve_app.teaching.second_person import SaidBack, said_back, sentences
from serve_app.teaching.utterance_kind import Kind, kind_of
from serve_app.teaching.word_answer import WordAnswer
from serve_app.teaching.word_questions import answer

LONGEST_ECHO = 10
"""Words of the longest sentence without a known error that is said back."""

_NAME_SENTENCE = re.compile(
    r"^\W*(?:oi|olá)?[\s,.!]*(?:eu )?(?:meu nome é|me chamo|chamo) [\wÀ-ú]+\W*(?:e\b)?\s*", re.IGNORECASE
)


def plan(
    said: Said, *, openings_on: bool = True, recast: bool = True, questions: bool = True, follow_ups: bool = False
) -> Plan:
    """The plan for one utterance. A switch that is off leaves its part to the model.

    `questions` decides how the model's question may begin, `follow_ups` takes the question from a list by topic.
    """
    kind = kind_of(said.utterance, said.sure)
    fact = told = None
    asked = requested(said.utterance, said.replies) if follow_ups and kind not in _NO_REQUEST else None
    of_word = None if kind == "off_task" or asked is not None else answer(said.utterance, said.level)
    if said.role is not None and of_word is None and in_scene(kind, said.role):
        return in_role(said, said.role, kind, opening_on=openings_on, recast=recast, follow_ups=follow_ups)
    if asked is not None and said.role is None:
        kind, made = "question", _granted(asked, said)
    elif of_word is not None:  # before "foreign": the question may be in English
        kind, made = "question", answer_about_word(of_word, said, follow_ups=follow_ups)
    elif kind == "question" and (fact := known_fact(said.utterance)):
        made = answer_about_word(WordAnswer(fact), said, follow_ups=follow_ups)
    elif kind == "question" and not answers_from_before(said) and (told := known_answer(said.utterance)):
        made = answer_about_word(WordAnswer(told[0]), said, follow_ups=follow_ups)
    else:
        made = _planned(said, kind, recast=recast, follow_ups=follow_ups)
    follow_ups = follow_ups or said.role is not None
    if recast and follow_ups and said.style == "recast":
        made = _with_recast(made, said)
    made = _with_memory(made, said, kind, recast=recast)
    if not (openings_on or recast or questions or follow_ups) or (made.whole and not openings_on):
        return Plan(kind)
    if follow_ups and not made.whole:
        special = "fact" if fact else told[1] if told else answered_with(made, said, of_word)
        made = _with_follow_up(made, said, special or kind)
    opening = made.opening if openings_on else ""
    form = made.form if questions or made.end else None
    return Plan(kind, opening, f"{opening} {made.begin}".strip(), form, made.whole, made.end)


def warm() -> None:
    """Load the word lists, half a second of work, before the first turn needs them.

    Not the translator: 170 MB, for words that no list holds.
    """
    words = ("Como se diz 'window'?", "¿Cómo se dice 'zorbing'?", "O que quer dizer 'correram'?")
    for said in ("Eu moro em Recife.", *words, "Você tem uma dica?"):
        plan(Said(said, said, "A2"), follow_ups=True)


def _with_memory(made: Plan, said: Said, kind: Kind, *, recast: bool) -> Plan:
    """The plan with what was due and right noticed in place of an echo, and with something that is due brought back."""
    if said.role is not None:
        return made
    first = not said.replies and kind == "greeting"
    question = from_before(said.memory, said.level) if first else ""
    if question and made.whole:
        return replace(made, begin=question)
    notice = noticed(said.memory, kind) if recast and said.error is None and not made.whole else ""
    if notice:
        made = replace(made, begin=notice, form=question_form(said))
    question = "" if said.error is not None else invited(said.memory, kind, said.level, said.replies)
    if not question or (made.form is not None and made.form.sentence and made.begin):
        return made
    if kind in _NO_ANSWER:
        return replace(made, begin=question, form=None, whole=True)
    return replace(made, begin=f"{made.begin} {question}".strip(), form=None, whole=True)


_NO_ANSWER: tuple[Kind, ...] = ("greeting", "thanks", "understood")
"""Their planned reply is a question alone, whose place another one takes."""


def _with_follow_up(made: Plan, said: Said, kind: Kind | Special) -> Plan:
    """The plan with a question from the list; the model writes at most the rest of the sentence before it."""
    before = said.utterances[-1] if said.utterances else ""
    question = said.role.question if said.role else ""
    question = question or follow_up(said.corrected, kind, said.level, said.replies, before)
    if not question or made.form is None:
        return made
    if made.form.sentence and (made.begin or made.kind == "question"):
        return replace(made, form=ReplyForm(sentence=True, asks=False), end=question)
    return replace(made, begin=f"{made.begin} {question}".strip(), form=None, whole=True)


def _planned(said: Said, kind: Kind, *, recast: bool, follow_ups: bool) -> Plan:
    if kind == "question":
        return answer_question(said, kind, follow_ups=follow_ups)
    if kind in _PLANS:
        return _PLANS[kind](said, kind)
    return _statement(said, kind, recast=recast, follow_ups=follow_ups)


def _with_recast(made: Plan, said: Said) -> Plan:
    """The plan with an error put right before the answer, goodbye or question that is planned."""
    shown = recast_beside(said) if made.kind in _RECAST_BESIDE else ""
    return replace(made, begin=f"{shown} {made.begin}".strip()) if shown else made


def _statement(said: Said, kind: Kind, *, recast: bool, follow_ups: bool) -> Plan:
    opening = pleased(said.utterance) or opening_for(kind, said)
    if said.error is not None and said.style == "explicit":
        return Plan(kind, opening, f'A gente diz "{right_sentence(said)}".', question_form(said))
    if said.error is not None and said.style == "prompt":
        return Plan(
            kind, opening, f'A gente diz "{said.error.said.lower()}" ou "{said.error.better.lower()}"?', whole=True
        )
    back = _recast(said, begun=not follow_ups) if recast else SaidBack("", whole=False)
    if recast and follow_ups and not back.whole and (shown := shown_right(said)):
        return Plan(kind, opening, shown, question_form(said))
    if back.whole:
        return Plan(kind, opening, f"{back.text}.", question_form(said))
    if back.text:
        return Plan(kind, opening, back.text, question_form(said, sentence=True))
    return Plan(kind, opening, "", question_form(said, sentence=kind == "neutral" and not _recast_lately(said)))


def _recast(said: Said, *, begun: bool) -> SaidBack:
    """What was said, said back to the learner: whole where an error was found in it.

    A sentence without a known error may hold an unknown one. `begun`: the model says the rest of a beginner's. Else
    only a short one is said back, not two in a row and none at C1 or higher: who repeats everything is tiring.
    """
    spoken, right = sentences(_NAME_SENTENCE.sub("", said.utterance)), sentences(_NAME_SENTENCE.sub("", said.corrected))
    changed = [(new, old) for old, new in zip(spoken, right, strict=False) if old != new]
    for sentence, before in changed:
        back = said_back(sentence, before)
        if back.text:
            return back
    beginner = said.level < "B1"
    if (_recast_lately(said) and not (begun and beginner)) or (said.level > "B2" and not begun):
        return SaidBack("", whole=False)
    for sentence in reversed(right):
        back = said_back(sentence)
        if back.text and begun:
            return _start(back) if beginner else back
        if back.whole and len(back.text.split()) <= LONGEST_ECHO:
            return back
    return SaidBack("", whole=False)


def _start(back: SaidBack) -> SaidBack:
    """Up to the verb after "você": from there on the model can mend what the rules did not see."""
    words = back.text.split()
    at = next((number for number, word in enumerate(words) if word.lower() in ("você", "vocês")), 0)
    return SaidBack(" ".join(words[: min(len(words) - 1, at + 2)]), whole=False)


def _recast_lately(said: Said) -> bool:
    return bool(said.replies) and re.search(r"\b[Vv]ocês? \w+", said.replies[-1].split("?")[0]) is not None


def _fixed(said: Said, kind: Kind) -> Plan:
    """A reply without a model: the opening and a question from the list of the level."""
    return Plan(
        kind, opening_for(kind, said), "" if kind in ("goodbye", "thinking") else _listed_question(said), whole=True
    )


def _granted(asked: Request, said: Said) -> Plan:
    """A request: what it asks for, and a question."""
    if not asked.text:
        return Plan("question", fresh(openings()["unknown_word"], said.replies), "", question_form(said))
    if asked.then == "question":
        return Plan("question", opening_for("question", said), f"{asked.text} {asked.question}", whole=True)
    if asked.then == "new":
        return Plan("question", asked.text, _listed_question(said), whole=True)
    return Plan("question", asked.text, "", question_form(said))


def _goodbye(said: Said, kind: Kind) -> Plan:
    """Who tells something on leaving hears that it was heard: "Que bom! Tchau, até a próxima!"."""
    mood = sure_mood(said.utterance, said.sure)
    if mood == "neutral":
        return _fixed(said, kind)
    return Plan(kind, opening_for(mood, said), opening_for(kind, said), whole=True)


def _repeated(said: Said, kind: Kind) -> Plan:
    last = said.replies[-1] if said.replies else ""
    for opening in of_replies([last]):
        last = last.removeprefix(opening).strip()
    return Plan(kind, opening_for(kind, said), last or _listed_question(said), whole=True)


_NO_REQUEST: tuple[Kind, ...] = ("off_task", "goodbye", "foreign", "repeat")
"""Kinds that are no request, whatever words they hold."""

_PLANS: dict[Kind, Callable[[Said, Kind], Plan]] = {
    "goodbye": _goodbye,
    "greeting": _fixed,
    "thanks": _fixed,
    "thinking": _fixed,
    "understood": _fixed,
    "off_task": _fixed,
    "foreign": _fixed,
    "repeat": _repeated,
}


_RECAST_BESIDE: tuple[Kind, ...] = ("question", "goodbye", "greeting", "thanks", "understood")
"""Kinds whose reply says nothing back by itself. Not "repeat": who did not understand needs no more to listen to."""


@cache
def _questions() -> dict[str, list[str]]:
    return json.loads(data_file("teaching/questions.json").read_text("utf-8"))


def _listed_question(said: Said) -> str:
    if said.role is not None and said.role.question:
        return said.role.question
    listed = _questions()
    return fresh(listed.get(said.level, listed["C1"]), said.replies, lately=len(said.replies))
