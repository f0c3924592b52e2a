"""Everyday words in English and Spanish with their Portuguese, from `data/teaching/glossary.json`.

The file is {topic: {Portuguese: [English, Spanish]}}; alternatives are divided by "|", nouns have their article.
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

Language = Literal["en", "es"]

_ARTICLES = {"en": ("the ", "a ", "an ", "some "), "es": ("el ", "la ", "los ", "las ", "un ", "una ")}
_PLURAL_ARTICLE = {"o": "os", "a": "as"}


@dataclass(frozen=True, slots=True)
class Translation:
    """A foreign word as the glossary spells it, and its Portuguese, the most usual first."""

    foreign: str
    portuguese: tuple[str, ...]


@cache
def _entries() -> dict[str, dict[str, list[str]]]:
    return json.loads(data_file("teaching/glossary.json").read_text("utf-8"))


@cache
def _index(language: Language, *, verbs: bool) -> dict[str, Translation]:
    """{folded foreign word: translation}, either of the verbs or of everything else."""
    found: dict[str, Translation] = {}
    for topic, words in _entries().items():
        if (topic == "verbs") != verbs:
            continue
        for portuguese, (english, spanish) in words.items():
            for foreign in filter(None, (english if language == "en" else spanish).split("|")):
                before = found.get(fold(foreign), Translation(foreign, ()))
                found[fold(foreign)] = Translation(before.foreign, (*before.portuguese, portuguese))
    return found


@cache
def _portuguese() -> dict[str, tuple[str, str, str]]:
    """{folded Portuguese without its article: (Portuguese with it, English, Spanish)}"""
    found: dict[str, tuple[str, str, str]] = {}
    for words in _entries().values():
        for portuguese, (english, spanish) in words.items():
            entry = (portuguese, english.split("|")[0], spanish.split("|")[0])
            found.setdefault(fold(without_article(portuguese)), entry)
            found.setdefault(fold(portuguese), entry)
    return found


def without_article(portuguese: str) -> str:
    article, _, noun = portuguese.partition(" ")
    return noun if noun and article in ("o", "a", "os", "as", "um", "uma") else portuguese


def entry_of(portuguese: str) -> tuple[str, str, str] | None:
    """(Portuguese with its article, English, Spanish) of a Portuguese word."""
    return _portuguese().get(fold(portuguese))


def translate(word: str, language: Language) -> Translation | None:
    """`word` in Portuguese. An infinitive comes with "to": "work" is "o trabalho" first, "to work" only "trabalhar"."""
    key = fold(word)
    for article in _ARTICLES[language]:
        if key not in _index(language, verbs=False):
            key = key.removeprefix(article)
    for form, plural_of in _candidates(key, language):
        other = _index(language, verbs=False).get(form)
        verb = _index(language, verbs=True).get(form.removeprefix("to "))
        if verb is not None and (other is None or form.startswith("to ")):
            return _infinitive(verb) if language == "en" else verb
        if other is not None and plural_of:
            return Translation(key, tuple(_in_plural(portuguese) for portuguese in other.portuguese))
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
    if language == "es":
        for ending, new in (("ces", "z"), ("es", ""), ("s", ""), ("as", "o"), ("a", "o")):
            if key.endswith(ending) and len(key) > len(ending) + 2:
                yield key.removesuffix(ending) + new, ending.endswith("s")
        return
    if key in forms().english:
        yield f"to {forms().english[key]}", False
        yield forms().english[key], True
    for ending in ("ing", "ed"):
        stem = key.removesuffix(ending)
        if stem != key and len(stem) > 1:
            for infinitive in (stem, f"{stem}e", stem[:-1], f"{stem[:-1]}y"):
                yield f"to {infinitive}", False
    for ending, new in (("ies", "y"), ("ves", "f"), ("es", ""), ("s", "")):
        if key.endswith(ending) and len(key) > len(ending) + 1:
            yield key.removesuffix(ending) + new, True


def _in_plural(portuguese: str) -> str:
    article, _, noun = portuguese.partition(" ")
    if article not in _PLURAL_ARTICLE or not noun:
        return portuguese
    first, space, rest = noun.partition(" ")
    return f"{_PLURAL_ARTICLE[article]} {plural(first)}{space}{rest}"


def _number(key: str, language: Language) -> Translation | None:
    """A number of two words: "twenty-one", "treinta y dos"."""
    words = [_index(language, verbs=False).get(part) for part in key.replace("-", " ").replace(" y ", " ").split()]
    said = [word.portuguese[0] for word in words if word is not None]
    if len(words) == len(said) == 2 and said[0] in forms().tens and said[1] in forms().units:
        return Translation(key, (" e ".join(said),))
    return None
