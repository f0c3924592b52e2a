"""Verbs that learners mix up or use without their preposition: ser/estar, saber/conhecer, gostar de, chamar-se."""

from __future__ import annotations

import re
from collections.abc import Iterator

from serve_app.teaching.correction import Correction, corrected, nouns, rule_data
from serve_app.teaching.verbs import is_infinitive

_ENDS = r"(?=[.,!?;]|$| (?:e|mas|porque|hoje|agora|aqui|ainda|demais|de|com|também)\b)"
_HOW = r"(?:(?:muito|um pouco|bem|tão|só|sempre|já|não) )?"
_STATES = {"sou": "estou", "é": "está", "somos": "estamos", "são": "estão", "era": "estava"}
_BEING = {"estou": "sou", "está": "é", "estamos": "somos", "estão": "são"}
_KNOWING = {"conheço": "sei", "conhece": "sabe", "conhecemos": "sabemos", "conhecem": "sabem"}
_MEETING = {after: before for before, after in _KNOWING.items()}
_PEOPLE = "eu|você|ele|ela|a gente|nós|vocês|eles|elas"


def _ser_and_estar(text: str) -> Iterator[Correction]:
    words = rule_data()["with estar"]
    feelings, states = "|".join(words["feelings"]), "|".join(words["states"])
    people = "|".join(rule_data()["nationalities"])
    after = rf"(?:com (?:muit[oa] )?(?:{feelings})\b|(?:{states}){_ENDS})"
    for match in re.finditer(
        rf"\b(?:{_PEOPLE}) {_HOW}({'|'.join(_STATES)}) {_HOW}{after}",
        text,
        re.IGNORECASE,
    ):
        yield corrected(match, 1, _STATES[match[1].lower()], "state", 0.85)
    for match in re.finditer(
        rf"\b(?:{_PEOPLE}) (?:também )?({'|'.join(_BEING)}) (?:{people}){_ENDS}", text, re.IGNORECASE
    ):
        yield corrected(match, 1, _BEING[match[1].lower()], "being", 0.85)


def _saber_and_conhecer(text: str) -> Iterator[Correction]:
    for match in re.finditer(rf"\b({'|'.join(_KNOWING)}) ([a-zà-ú]+[aei]r)\b", text, re.IGNORECASE):
        word = match[2].lower()
        if is_infinitive(word) and word not in nouns() and word not in rule_data()["infinitives that are nouns"]:
            yield corrected(match, 1, _KNOWING[match[1].lower()], "saber")
    people = "|".join(rule_data()["people"])
    for match in re.finditer(
        rf"\b({'|'.join(_MEETING)}) (?:bem )?(?:o |a )?(?:meu|minha|seu|sua) (?:{people}){_ENDS}", text, re.IGNORECASE
    ):
        yield corrected(match, 1, _MEETING[match[1].lower()], "conhecer", 0.85)
    places = "|".join([*rule_data()["countries"], *rule_data()["places"]])
    for match in re.finditer(rf"\b({'|'.join(_MEETING)}) (?:bem )?(?:(?:o|a|os) )?(?:{places}){_ENDS}", text):
        yield corrected(match, 1, _MEETING[match[1].lower()], "conhecer", 0.85)


def _with_preposition(text: str) -> Iterator[Correction]:
    liking = "gost(?:o|a|amos|am|ei|ou|aram|ava|avam)"
    for match in re.finditer(
        rf"\b(?:{_PEOPLE}) {_HOW}{liking} (?:muito |mais )?((o|a|os|as) ([^\W\d_]+))", text, re.IGNORECASE
    ):
        word = match[3].lower()
        if (word in nouns() and word not in ("vez", "vezes", "tempo")) or match[3] in rule_data()["countries"]:
            yield corrected(match, 1, f"d{match[2].lower()} {match[3]}", "gostar")
    needed = "|".join(rule_data()["needed"])
    for match in re.finditer(
        rf"\b(?:{_PEOPLE}) {_HOW}precis(?:o|a|amos|am|ei|ou|ava) ((?:mais |muit[oa] )?(?:{needed})){_ENDS}",
        text,
        re.IGNORECASE,
    ):
        yield corrected(match, 1, f"de {match[1]}", "precisar", 0.85)
    for match in re.finditer(r"\bdepend(?:e|ia|eu) (em (?:você|mim|nós|vocês))\b", text, re.IGNORECASE):
        yield corrected(match, 1, f"de{match[1][2:]}", "preposition", 0.85)


def _name(text: str) -> Iterator[Correction]:
    for match in re.finditer(r"(?:^|[,.!?] )([Cc]hamo) [A-ZÀ-Ú][^\W\d_]+(?=[.,!]|$| e )", text):
        yield corrected(match, 1, "eu me chamo", "name", 0.85)


WORD_CHOICE_RULES = (_ser_and_estar, _saber_and_conhecer, _with_preposition, _name)
