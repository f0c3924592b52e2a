"""Plans the tutor's reply before the model writes it: what code can decide, code decides.

A small model opens every reply alike, praises bad news, answers in the first person and repeats its questions. So the
opening, the corrected repetition of what was said (recast) and the words a question may begin with are given to it;
it writes what is left. The beginning is known as soon as the transcript is, and can be spoken at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from serve_app.package_data import data_file
from serve_app.protocols import ReplyForm
from serve_app.teaching.error_rules import Correction
from serve_app.teaching.follow_ups import follow_up
from serve_app.teaching.openings import fresh, openings
from serve_app.teaching.said_before import answer_from
from serve_app.teaching.second_person import SaidBack, said_back, sentences
from serve_app.teaching.utterance_kind import Kind, kind_of
from serve_app.teaching.word_questions import WordAnswer, answer

QUESTION_WORDS = (
    *("Onde você", "Quando você", "Por que você", "O que você", "Como você", "Com quem você", "Quem", "Qual é", "Você"),
)
"""With "você", since a small model likes to ask "Como posso ajudar?" and "O que mais gostaria de saber?"."""
LONGEST_ECHO = 10
"""Words of the longest sentence without a known error that is said back."""
LATELY = 4
"""A question does not begin with a word that began one of so many questions before."""

_NAME = re.compile(r"\b(?:[Mm]eu nome é|[Mm]e chamo|[Ee]u chamo|[Ee]u sou [oa]) ([A-ZÀ-Ú][\wÀ-ú]+)")
_NAME_SENTENCE = re.compile(
    r"^\W*(?:oi|olá)?[\s,.!]*(?:eu )?(?:meu nome é|me chamo|chamo) [\wÀ-ú]+\W*(?:e\b)?\s*", re.IGNORECASE
)
_ABOUT_TUTOR = (
    (re.compile(r"\be você\W*$|\be (?:a senhora|tu)\W*$", re.IGNORECASE), "Eu"),
    (re.compile(r"\bvocê acha\b", re.IGNORECASE), "Eu acho que"),
    (re.compile(r"\bvocê gosta\b", re.IGNORECASE), "Eu gosto"),
    (re.compile(r"\bvocê prefere\b", re.IGNORECASE), "Eu prefiro"),
    (re.compile(r"\bvocê conhece\b", re.IGNORECASE), "Eu conheço"),
    (re.compile(r"\bvocê tem\b", re.IGNORECASE), "Eu tenho"),
    (re.compile(r"\bvocê mora\b", re.IGNORECASE), "Eu moro"),
    (re.compile(r"\bvocê sabe \w+r\b", re.IGNORECASE), "Eu sei"),
    (re.compile(r"\bvocê faria\b", re.IGNORECASE), "Eu"),
    (re.compile(r"\bvocê é\b", re.IGNORECASE), "Eu sou"),
)
_OPINION = "Eu acho que"
"""How any other question is answered: a small model would say the question back."""

_FACT_ASKED = re.compile(
    r"^\W*(?:(?:e|mas|então|lia|professora)[\s,]+)*(?:qual|quais|quem|quando|onde|aonde|quant\w+"
    r"|(?:em|de|com|para|há|por) (?:que|qual|quem|onde|quant\w+)|como (?:se )?chama|como é o nome)\b"
    r"(?=.*\b(?:eu|meus?|minhas?|comigo)\b)"
    r"(?!.*\b(?:posso|devo|deveria|devia|preciso|faço|fazer|dizer|digo|falo|uso)\b)",
    re.IGNORECASE,
)
"""Asks for something about the learner."""
_QUESTION = re.compile(r"[^.!?…]*\?")


@dataclass(frozen=True, slots=True)
class Plan:
    """The reply as far as it is decided.

    `opening` is spoken first; `begin` begins with it and is what the model goes on from, in the form `form` (None: as
    it likes). `whole`: `begin` is all of the reply, and no model is asked. `end` comes after what the model wrote.
    """

    kind: Kind
    opening: str = ""
    begin: str = ""
    form: ReplyForm | None = None
    whole: bool = False
    end: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What a plan is made from. `corrected` is the utterance without the errors that were found, else the same.

    `replies` are the tutor's earlier ones and `utterances` the learner's, oldest first.
    """

    utterance: str
    corrected: str
    level: str
    replies: tuple[str, ...] = ()
    utterances: tuple[str, ...] = ()
    error: Correction | None = None
    """The error to speak of."""
    style: str = "recast"
    """How: see CorrectionStyle in serve_app.config.user_config."""


def plan(
    said: Said, *, openings_on: bool = True, recast: bool = True, questions: bool = True, follow_ups: bool = False
) -> Plan:
    """The plan for one utterance. A switch that is off leaves its part to the model.

    `questions` decides how the model's question may begin, `follow_ups` takes the question from a list by topic.
    """
    kind = kind_of(said.utterance)
    of_word = None if kind == "off_task" else answer(said.utterance, said.level)
    if of_word is not None:  # before "foreign": the question may be in English
        kind, made = "question", _of_word(of_word, said, follow_ups=follow_ups)
    else:
        made = _planned(said, kind, recast=recast, follow_ups=follow_ups)
    if not (openings_on or recast or questions or follow_ups) or (made.whole and not openings_on):
        return Plan(kind)
    if follow_ups and not made.whole:
        made = _with_follow_up(made, said, "word" if of_word is not None else kind)
    opening = made.opening if openings_on else ""
    form = made.form if questions or made.end else None
    return Plan(kind, opening, f"{opening} {made.begin}".strip(), form, made.whole, made.end)


def warm() -> None:
    """Load the word lists, half a second of work, before the first turn needs them."""
    for said in ("Eu moro em Recife.", "Como se diz 'window'?"):
        plan(Said(said, said, "A2"))


def _with_follow_up(made: Plan, said: Said, kind: Kind | Literal["word"]) -> Plan:
    """The plan with a question from the list; the model writes at most the rest of the sentence before it."""
    before = said.utterances[-1] if said.utterances else ""
    question = follow_up(said.utterance, kind, said.level, said.replies, before)
    if not question or made.form is None:
        return made
    if made.form.sentence and (made.begin or kind == "question"):
        return replace(made, form=ReplyForm(sentence=True, asks=False), end=question)
    return replace(made, begin=f"{made.begin} {question}".strip(), form=None, whole=True)


def _of_word(found: WordAnswer, said: Said, *, follow_ups: bool) -> Plan:
    """The answer from data; what the data lacks a small model would invent."""
    if found.whole or not follow_ups:
        return Plan("question", "", found.text, _question(said, sentence=not found.whole))
    return Plan("question", fresh(openings()["unknown_word"], said.replies), "", _question(said))


def _planned(said: Said, kind: Kind, *, recast: bool, follow_ups: bool) -> Plan:
    if kind == "question":
        return _asked(said, kind, follow_ups=follow_ups)
    if kind in _PLANS:
        return _PLANS[kind](said, kind)
    return _statement(said, kind, recast=recast, follow_ups=follow_ups)


def _statement(said: Said, kind: Kind, *, recast: bool, follow_ups: bool) -> Plan:
    name = _NAME.search(said.utterance)
    opening = f"Prazer, {name[1]}!" if name else _opening(kind, said)
    if said.error is not None and said.style == "explicit":
        return Plan(kind, opening, f'A gente diz "{_right_sentence(said)}".', _question(said))
    if said.error is not None and said.style == "prompt":
        return Plan(
            kind, opening, f'A gente diz "{said.error.said.lower()}" ou "{said.error.better.lower()}"?', whole=True
        )
    back = _recast(said, begun=not follow_ups) if recast else SaidBack("", whole=False)
    if back.whole:
        return Plan(kind, opening, f"{back.text}.", _question(said))
    if back.text:
        return Plan(kind, opening, back.text, _question(said, sentence=True))
    return Plan(kind, opening, "", _question(said, sentence=kind == "neutral" and not _recast_lately(said)))


def _right_sentence(said: Said) -> str:
    """The first sentence that had an error, without it."""
    pairs = zip(sentences(said.utterance), sentences(said.corrected), strict=False)
    return next((new for old, new in pairs if old != new), said.corrected).rstrip(" .!")


def _recast(said: Said, *, begun: bool) -> SaidBack:
    """What was said, said back to the learner: whole where an error was found in it.

    A sentence without a known error may hold an unknown one. `begun`: the model says the rest of a beginner's. Else
    only a short one is said back, and not two in a row, as a partner who repeats everything is tiring.
    """
    spoken, right = sentences(_NAME_SENTENCE.sub("", said.utterance)), sentences(_NAME_SENTENCE.sub("", said.corrected))
    changed = [(new, old) for old, new in zip(spoken, right, strict=False) if old != new]
    for sentence, before in changed:
        back = said_back(sentence, before)
        if back.text:
            return back
    beginner = said.level < "B1"
    if _recast_lately(said) and not (begun and beginner):
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


def _asked(said: Said, kind: Kind, *, follow_ups: bool) -> Plan:
    if known := answer_from(said.utterance, said.utterances):
        return Plan(kind, "", f"{known}.", _question(said))
    for asked, begin in _ABOUT_TUTOR:
        if asked.search(said.utterance):
            return Plan(kind, "", begin, _question(said, sentence=True))
    if not follow_ups:
        return Plan(kind, _opening(kind, said), "", _question(said, sentence=True))
    if _FACT_ASKED.search(said.utterance):
        return Plan(kind, fresh(openings()["not_remembered"], said.replies), "", _question(said))
    return Plan(kind, _opening(kind, said), _OPINION, _question(said, sentence=True))


def _fixed(said: Said, kind: Kind) -> Plan:
    """A reply without a model: the opening and a question from the list of the level."""
    return Plan(kind, _opening(kind, said), "" if kind == "goodbye" else _listed_question(said), whole=True)


def _repeated(said: Said, kind: Kind) -> Plan:
    last = _QUESTION.findall(said.replies[-1]) if said.replies else []
    return Plan(kind, _opening(kind, said), last[-1].strip() if last else _listed_question(said), whole=True)


_PLANS: dict[Kind, Callable[[Said, Kind], Plan]] = {
    "goodbye": _fixed,
    "greeting": _fixed,
    "thanks": _fixed,
    "off_task": _fixed,
    "foreign": _fixed,
    "repeat": _repeated,
}


def _opening(kind: Kind, said: Said) -> str:
    return fresh(openings()[kind], said.replies)


@cache
def _questions() -> dict[str, list[str]]:
    return json.loads(data_file("teaching/questions.json").read_text("utf-8"))


def _listed_question(said: Said) -> str:
    listed = _questions()
    return fresh(listed.get(said.level, listed["C1"]), said.replies, lately=len(said.replies))


def _question(said: Said, *, sentence: bool = False) -> ReplyForm:
    """How the model goes on: the rest of a sentence if `sentence`, then a question that begins as none did lately."""
    asked = [question.strip() for reply in said.replies[-LATELY:] for question in _QUESTION.findall(reply)]
    by_length = sorted(QUESTION_WORDS, key=len, reverse=True)
    begun = {next((word for word in by_length if question.startswith(word)), "") for question in asked}
    return ReplyForm(sentence, tuple(word for word in QUESTION_WORDS if word not in begun))
