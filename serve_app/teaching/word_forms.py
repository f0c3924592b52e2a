"""Forms of Portuguese nouns and adjectives: plural, feminine, masculine, article.

Exceptions are data (`data/teaching/word_forms.json`); the rest follows the endings.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TypedDict

from serve_app.package_data import data_file


class VerbForms(TypedDict):
    """present, past: the forms of eu, você, nós, eles; imperfect: that of "eu"."""

    present: list[str]
    past: list[str]
    imperfect: str


@dataclass(frozen=True, slots=True)
class Forms:
    """Tables of word_forms.json: {word: its form}.

    english: {irregular form: base form}. small_words: what a part of a sentence begins with, but no word asked about.
    units (0 to 19), tens and hundreds: their numbers in words.
    """

    plural: dict[str, str]
    feminine: dict[str, str]
    masculine: dict[str, str]
    opposite: dict[str, str]
    article: dict[str, str]
    verbs: dict[str, VerbForms]
    letters: dict[str, str]
    english: dict[str, str]
    small_words: list[str]
    units: list[str]
    tens: list[str]
    hundreds: list[str]


_UNACCENTED = {"á": "a", "é": "e", "ó": "o", "ú": "u", "â": "a", "ê": "e", "ô": "o"}


@cache
def forms() -> Forms:
    return Forms(**json.loads(data_file("teaching/word_forms.json").read_text("utf-8")))


def _stressed_before_last(word: str) -> bool:
    """Whether an accent before the last vowel shows that the last syllable is weak: "fácil", "lápis"."""
    return re.search(r"[áéíóúâêô].*[aeiou]", word) is not None


def plural(word: str) -> str:
    """The plural of a noun or adjective in the singular."""
    if word in forms().plural:
        return forms().plural[word]
    if word.endswith("ão"):
        return word[:-2] + "ões"
    if word.endswith("m"):
        return word[:-1] + "ns"
    if word.endswith("il"):
        return word[:-2] + ("eis" if _stressed_before_last(word) else "is")
    if word.endswith(("al", "el", "ol", "ul")):
        vowel = word[-2]
        if vowel in "eo" and not _stressed_before_last(word):
            vowel = {"e": "é", "o": "ó"}[vowel]
        return word[:-2] + vowel + "is"
    if word.endswith(("r", "z")):
        return word + "es"
    if word.endswith("s"):
        if word[-2] == "í":
            return word + "es"
        return word[:-2] + _UNACCENTED[word[-2]] + "ses" if word[-2] in _UNACCENTED else word
    if word.endswith("x"):
        return word
    return word + "s"


def feminine(word: str) -> str | None:
    """The feminine of a masculine noun or adjective; None where the ending does not tell."""
    if word in forms().feminine:
        return forms().feminine[word]
    if word.endswith(("ista", "nte", "al", "el", "il", "vel")):
        return word
    if word.endswith("ês"):
        return word[:-2] + "esa"
    if word.endswith(("or", "uz")):
        return word + "a"
    return word[:-1] + "a" if word.endswith("o") and not word.endswith("ão") else None


def masculine(word: str) -> str | None:
    """The masculine of a feminine noun or adjective; None where the ending does not tell."""
    if word in forms().masculine:
        return forms().masculine[word]
    if word.endswith(("ista", "nte", "al", "el", "il", "vel")):
        return word
    if word.endswith("esa"):
        return word[:-3] + "ês"
    if word.endswith("ora"):
        return word[:-1]
    return word[:-1] + "o" if word.endswith("a") else None


def article(noun: str) -> str | None:
    """ "o" or "a" before a noun in the singular; None where nothing tells."""
    if noun in forms().article:
        return forms().article[noun]
    if noun.endswith(("agem", "dade", "tude", "ção", "são", "ice", "eza")):
        return "a"
    if noun.endswith(("grama", "ema", "ista")):
        return None if noun.endswith("ista") else "o"
    return {"o": "o", "a": "a"}.get(noun[-1:])
