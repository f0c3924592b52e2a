"""Everyday words in other languages with their Portuguese.

`data/teaching/glossary.json` is {topic: {Portuguese: [English, Spanish]}}, `glossary_more_languages.json` the same with
[Italian, French, German], for a beginner's words; alternatives are divided by "|", nouns have their article.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from serve_app.package_data import data_file
from serve_app.teaching.word_answer import fold
from serve_app.teaching.word_forms import forms, plural

Language = Literal["en", "es", "it", "fr", "de"]
LANGUAGES: tuple[Language, ...] = ("en", "es", "it", "fr", "de")

_FILES: dict[Language, tuple[str, int]] = {
    "en": ("glossary.json", 0),
    "es": ("glossary.json", 1),
    "it": ("glossary_more_languages.json", 0),
    "fr": ("glossary_more_languages.json", 1),
    "de": ("glossary_more_languages.json", 2),
}
"""Where a language stands: the file, and the place in its lists."""

_ARTICLES: dict[Language, tuple[str, ...]] = {
    "en": ("the ", "a ", "an ", "some "),
    "es": ("el ", "la ", "los ", "las ", "un ", "una "),
    "it": ("il ", "lo ", "la ", "l'", "i ", "gli ", "le ", "un ", "uno ", "una ", "un'"),
    "fr": ("le ", "la ", "l'", "les ", "un ", "une ", "des "),
    "de": ("der ", "die ", "das ", "ein ", "eine "),
}
_ENDINGS: dict[Language, tuple[tuple[str, str, bool], ...]] = {
    "es": (("ces", "z", True), ("es", "", True), ("s", "", True), ("as", "o", True), ("a", "o", False)),
    "it": (("i", "o", True), ("e", "a", True), ("i", "e", True), ("a", "o", False)),
    "fr": (("s", "", True), ("x", "", True), ("e", "", False)),
    "de": (("en", "e", True), ("en", "", True), ("e", "", True)),
}
"""(Ending of a form, ending of the word in the glossary, whether the form is its plural), in the order of trying."""

_PLURAL_ARTICLE = {"o": "os", "a": "as"}
_PREPOSITIONS = ("de", "do", "da", "dos", "das", "em", "no", "na", "ao", "à", "para", "com", "sem", "por", "e")
"""In a noun of several words what begins with one of these stays in the singular: "as escovas de dentes"."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A foreign word as the glossary spells it, and its Portuguese, the most usual first."""

    foreign: str
    portuguese: tuple[str, ...]


@cache
def _entries(file: str) -> dict[str, dict[str, list[str]]]:
    return json.loads(data_file(f"teaching/{file}").read_text("utf-8"))


@cache
def _index(language: Language, *, verbs: bool) -> dict[str, Translation]:
    """{folded foreign word: translation}, either of the verbs or of everything else."""
    found: dict[str, Translation] = {}
    file, place = _FILES[language]
    for topic, words in _entries(file).items():
        if (topic == "verbs") != verbs:
            continue
        for portuguese, said in words.items():
            for foreign in filter(None, said[place].split("|")):
                before = found.get(fold(foreign), Translation(foreign, ()))
                found[fold(foreign)] = Translation(before.foreign, (*before.portuguese, portuguese))
    return found


@cache
def _portuguese(file: str) -> dict[str, tuple[str, ...]]:
    """{Portuguese without its article, as spelt and folded: (Portuguese with it, the foreign words)}"""
    found: dict[str, tuple[str, ...]] = {}
    for fit in (str.lower, fold):  # as spelt first: "lã" is not "lá"
        for words in _entries(file).values():
            for portuguese, said in words.items():
                entry = (portuguese, *(word.split("|")[0] for word in said))
                found.setdefault(fit(without_article(portuguese)), entry)
                found.setdefault(fit(portuguese), entry)
    return found


def without_article(portuguese: str) -> str:
    article, _, noun = portuguese.partition(" ")
    return noun if noun and article in ("o", "a", "os", "as", "um", "uma") else portuguese


def _known(portuguese: str, file: str) -> tuple[str, ...] | None:
    known = _portuguese(file)
    return known.get(portuguese.lower().strip(" .,?!")) or known.get(fold(portuguese))


def portuguese_words() -> Iterator[tuple[str, bool]]:
    """Every Portuguese word as the glossary has it, and whether it is a verb."""
    for topic, words in _entries("glossary.json").items():
        for portuguese in words:
            yield portuguese, topic == "verbs"


def entry_of(portuguese: str) -> tuple[str, str, str] | None:
    """(Portuguese with its article, English, Spanish) of a Portuguese word."""
    known = _known(portuguese, "glossary.json")
    return (known[0], known[1], known[2]) if known else None


def foreign_of(portuguese: str, language: Language) -> str | None:
    """The usual word for a Portuguese one in another language."""
    file, place = _FILES[language]
    known = _known(portuguese, file)
    return (known[place + 1] or None) if known else None


def translate(word: str, language: Language) -> Translation | None:
    """`word` in Portuguese. An infinitive comes with "to": "work" is "o trabalho" first, "to work" only "trabalhar"."""
    key, spelt = fold(word), word.strip(' .,?!"')
    for article in _ARTICLES[language]:
        if key not in _index(language, verbs=False) and key.startswith(article):
            key, spelt = key.removeprefix(article), spelt[len(article) :]
    for form, plural_of in _candidates(key, language):
        other = _index(language, verbs=False).get(form)
        verb = _index(language, verbs=True).get(form.removeprefix("to "))
        if verb is not None and (other is None or form.startswith("to ")):
            return _infinitive(verb) if language == "en" else verb
        if other is not None and plural_of:
            return Translation(spelt, tuple(_in_plural(portuguese) for portuguese in other.portuguese))
        if other is not None:
            return other
    return _number(key, language)


def verb_like(word: str) -> Translation | None:
    """The verb that is spelt like an English noun: "to work" for "work"."""
    verb = _index("en", verbs=True).get(fold(word))
    return _infinitive(verb) if verb is not None else None


def _infinitive(verb: Translation) -> Translation:
    """With "to", but for "can" and its like."""
    return verb if verb.foreign in ("can", "must", "should") else Translation(f"to {verb.foreign}", verb.portuguese)


def _candidates(key: str, language: Language) -> Iterator[tuple[str, bool]]:
    """(A form that the glossary may have, whether `key` is its plural); what it has decides."""
    yield key, False
    if language != "en":
        for ending, new, plural_of in _ENDINGS[language]:
            if key.endswith(ending) and len(key) > len(ending) + 2:
                yield key.removesuffix(ending) + new, plural_of
        return
    first, space, rest = key.partition(" ")
    if space and first != "to":  # "ran out of" -> "to run out of"
        for form, _ in _candidates(first, "en"):
            if form.startswith("to "):
                yield f"{form} {rest}", False
    if key in forms().english:
        yield f"to {forms().english[key]}", False
        yield forms().english[key], True
    for ending in ("ing", "ed"):
        stem = key.removesuffix(ending)
        if stem != key and len(stem) > 1:
            for infinitive in (stem, f"{stem}e", stem[:-1], f"{stem[:-1]}y"):
                yield f"to {infinitive}", False
    for ending, new in (("ies", "y"), ("ves", "f"), ("s", ""), ("es", "")):
        if key.endswith(ending) and len(key) > len(ending) + 1:
            yield key.removesuffix(ending) + new, True


def _in_plural(portuguese: str) -> str:
    article, _, noun = portuguese.partition(" ")
    if article not in _PLURAL_ARTICLE or not noun:
        return portuguese
    words = noun.split(" ")
    last = next((place for place, word in enumerate(words) if word in _PREPOSITIONS), len(words))
    return " ".join((_PLURAL_ARTICLE[article], *map(plural, words[:last]), *words[last:]))


def _number(key: str, language: Language) -> Translation | None:
    """A number of two words: "twenty-one", "treinta y dos"."""
    words = [_index(language, verbs=False).get(part) for part in key.replace("-", " ").replace(" y ", " ").split()]
    said = [word.portuguese[0] for word in words if word is not None]
    if len(words) == len(said) == 2 and said[0] in forms().tens and said[1] in forms().units:
        return Translation(key, (" e ".join(said),))
    return None
