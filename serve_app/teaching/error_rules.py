"""Finds frequent errors of learners in spoken Portuguese: agreement, gender, subjunctive, prepositions, Spanish words.

Few rules that are sure, rather than many: what Brazilians say is right ("a gente vai", "fui na praia", "te vi", "pra
mim fazer" apart), and a wrong correction does more harm than a missed one. The words are in
`serve_app/data/teaching/error_rules.json`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from serve_app.teaching.agreement_errors import AGREEMENT_RULES
from serve_app.teaching.correction import Correction, corrected, rule_data
from serve_app.teaching.mood_errors import MOOD_RULES
from serve_app.teaching.noun_errors import NOUN_RULES
from serve_app.teaching.person_errors import PERSON_RULES
from serve_app.teaching.phrase_errors import PHRASE_RULES
from serve_app.teaching.predicate_errors import PREDICATE_RULES
from serve_app.teaching.tense_errors import TENSE_RULES
from serve_app.teaching.transfer_errors import TRANSFER_RULES
from serve_app.teaching.utterance_kind import is_foreign
from serve_app.teaching.word_choice_errors import WORD_CHOICE_RULES

_QUOTED = re.compile(r"[\"“«][^\"”»]*[\"”»]|(?<!\w)['‘][^'’]*['’](?!\w)")
_ASKED = re.compile(
    r"\b(?:como (?:se|eu|você|a gente) (?:diz|digo|fala|falo|escreve|escrevo)|(?:o )?que (?:significa|quer dizer)"
    r"|qual (?:é )?a diferença)\b[^.!?]*|\b(?:é|is it) (?:o|a|um|uma) [a-zà-ú]+ (?:ou|or) (?:o|a|um|uma) [a-zà-ú]+",
    re.IGNORECASE,
)


def find_errors(text: str) -> list[Correction]:
    """The errors in the order of the text; none overlaps another."""
    found: list[Correction] = []
    if is_foreign(text):
        return found
    plain = text
    for about_words in (_QUOTED, _ASKED):  # "como se diz perro?", "é o problema ou a problema?"
        plain = about_words.sub(lambda match: " " * len(match[0]), plain)
    for correction in sorted((one for rule in _RULES for one in rule(plain)), key=lambda one: one.span):
        if correction.better.lower() != correction.said.lower() and (
            not found or correction.span[0] >= found[-1].span[1]
        ):
            found.append(correction)
    return found


def mended(text: str, corrections: Sequence[Correction]) -> str:
    """The text without these errors."""
    for correction in sorted(corrections, key=lambda one: one.span, reverse=True):
        start, end = correction.span
        text = text[:start] + correction.better + text[end:]
    return text


def _spanish(text: str) -> Iterator[Correction]:
    words = rule_data()["spanish"]
    for match in re.finditer(r"[^\W\d_]+", text):
        if better := words.get(match[0].lower()):
            yield corrected(match, 0, better, "spanish")


_RULES = (
    _spanish,
    *PERSON_RULES,
    *NOUN_RULES,
    *MOOD_RULES,
    *PHRASE_RULES,
    *PREDICATE_RULES,
    *WORD_CHOICE_RULES,
    *TENSE_RULES,
    *AGREEMENT_RULES,
    *TRANSFER_RULES,
)
