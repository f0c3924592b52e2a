"""Plans the answer to a learner's question: from what they said before, from data, as an opinion, or "I don't know"."""

from __future__ import annotations

import re

from serve_app.teaching.follow_ups import Special
from serve_app.teaching.known_answers import asks_advice
from serve_app.teaching.openings import fresh, openings
from serve_app.teaching.plan import Plan, Said, opening_for, question_form
from serve_app.teaching.said_before import answer_from
from serve_app.teaching.utterance_kind import Kind
from serve_app.teaching.word_answer import WordAnswer

_ABOUT_TUTOR = (
    (re.compile(r"\be você\W*$|\be (?:a senhora|tu)\W*$", re.IGNORECASE), "Eu"),
    (re.compile(r"\bvocê (?:não )?acha\b", re.IGNORECASE), "Eu acho que"),
    (re.compile(r"\bvocê (?:não )?gosta\b", re.IGNORECASE), "Eu gosto"),
    (re.compile(r"\bvocê (?:não )?prefere\b", re.IGNORECASE), "Eu prefiro"),
    (re.compile(r"\bvocê (?:não )?conhece\b", re.IGNORECASE), "Eu conheço"),
    (re.compile(r"\bvocê (?:não )?tem\b", re.IGNORECASE), "Eu tenho"),
    (re.compile(r"\bvocê (?:não )?mora\b", re.IGNORECASE), "Eu moro"),
    (re.compile(r"\bvocê sabe \w+r\b", re.IGNORECASE), "Eu sei"),
    (re.compile(r"\bvocê (?:não )?faria\b", re.IGNORECASE), "Eu"),
    (re.compile(r"\bvocê (?:não )?é\b", re.IGNORECASE), "Eu sou"),
    (
        re.compile(r"\bseus? [\w ]+ (?:favorit|preferid)o|\bsuas? [\w ]+ (?:favorit|preferid)a", re.IGNORECASE),
        "Eu gosto de",
    ),
    (re.compile(r"\bcomo você (?:se )?chama\b|\bqual é o seu nome\b", re.IGNORECASE), "Eu me chamo"),
)
_AND_YOU = re.compile(r"\be você\W*$", re.IGNORECASE)
_ABOUT_WORDS = re.compile(
    r"\b(?:quer dizer|significa|diferença|como se (?:diz|fala|escreve)|quando se usa|(?:que|qual) palavra|plural"
    r"|feminino|masculino|subjuntivo|conjug\w+|crase|gramática|sinônimo|pronúncia|pronuncia)\b",
    re.IGNORECASE,
)
_ABOUT_RIGHT = re.compile(r"\b(?:cert[oa]|corret[oa]|errad[oa])\b.*[\"'“‘]", re.IGNORECASE)
_OPINION = "Eu acho que"
"""How any other question is answered: a small model would say the question back."""

_ADVICE = "Você pode"
"""How a question of what to do is answered; with `_OPINION` a small model says what it would do itself."""

_FACT_ASKED = re.compile(
    r"(?:^|[:,.!?] )\W*(?:(?:e|mas|então|lia|professora)[\s,]+)*(?:qual|quais|quem|quando|onde|aonde|quant\w+"
    r"|(?:em|de|com|para|há|por) (?:que|qual|quem|onde|quant\w+)|como (?:se )?chama|como é o nome)\b"
    r"(?=.*\b(?:eu|meus?|minhas?|comigo)\b)"
    r"(?!.*\b(?:posso|devo|deveria|devia|preciso|faço|fazer|dizer|digo|falo|uso)\b)",
    re.IGNORECASE,
)
"""Asks for something about the learner."""

_OF_THE_WORLD = re.compile(
    r"(?:^|[:,.!?] )\W*(?:(?:e|mas|então|aliás|lia|professora)[\s,]+)*(?:quem|quando|quant[oa]s|onde fica"
    r"|(?:em|de) que (?:ano|século|data|dia|país|estado|cidade)|quanto (?:custa|mede|pesa|tempo|dura|vale)"
    r"|qual (?:é|foi|era) (?:mesmo )?(?:o|a) (?:maior|menor|nome|data|população|altura|distância|primeir[oa]|número))\b"
    r"(?!.*\b(?:você|eu|meus?|minhas?|comigo|a gente|nós|nosso|nossa|devo|posso)\b)",
    re.IGNORECASE,
)
"""Asks for a fact: a small model invents it, so what no data holds is not known."""


def answer_about_word(found: WordAnswer, said: Said, *, follow_ups: bool) -> Plan:
    """The answer from data; what the data lacks a small model would invent."""
    if found.whole or found.easy or not follow_ups:
        return Plan(
            "question", opening_for("question", said), found.text, question_form(said, sentence=not found.whole)
        )
    return Plan("question", fresh(openings()["unknown_word"], said.replies), "", question_form(said))


def answers_from_before(said: Said) -> bool:
    """Whether the learner told it earlier in the conversation."""
    return bool(answer_from(said.utterance, said.utterances))


def answer_question(said: Said, kind: Kind, *, follow_ups: bool) -> Plan:
    if known := answer_from(said.utterance, said.utterances):
        return Plan(kind, opening_for(kind, said), f"{known}.", question_form(said))
    for asked, begin in _ABOUT_TUTOR:
        if asked.search(said.utterance):
            return Plan(kind, opening_for(kind, said), begin, question_form(said, sentence=True))
    if not follow_ups:
        return Plan(kind, opening_for(kind, said), "", question_form(said, sentence=True))
    if _ABOUT_WORDS.search(said.utterance) or _ABOUT_RIGHT.search(said.utterance):
        return Plan(kind, fresh(openings()["unknown_word"], said.replies), "", question_form(said))
    if _FACT_ASKED.search(said.utterance):
        return Plan(kind, fresh(openings()["not_remembered"], said.replies), "", question_form(said))
    if _OF_THE_WORLD.search(said.utterance):
        return Plan(kind, fresh(openings()["not_known"], said.replies), "", question_form(said))
    begin = _ADVICE if asks_advice(said.utterance) else _OPINION
    return Plan(kind, opening_for(kind, said), begin, question_form(said, sentence=True))


def answered_with(made: Plan, said: Said, of_word: WordAnswer | None) -> Special | None:
    """What a question was answered with, where that decides what the tutor asks then."""
    if of_word is not None:
        return "word" if of_word.whole or of_word.easy else "unknown_word"
    if made.opening in openings()["unknown_word"]:
        return "unknown_word"
    if made.opening in openings()["not_known"]:
        return "not_known"
    if made.kind != "question" or _AND_YOU.search(said.utterance):
        return None
    if made.begin.endswith(".") and answers_from_before(said):
        return "recalled"
    if made.begin in (_OPINION, _ADVICE):
        return "opined" if made.begin == _OPINION else "advised"
    written = made.form is not None and made.form.sentence
    return "asked" if written else None
