"""What a Portuguese word or idiom means, in easy Portuguese, from `data/teaching/meanings.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache

from serve_app.package_data import data_file
from serve_app.teaching.base_forms import verb_forms
from serve_app.teaching.word_answer import fold
from serve_app.teaching.word_forms import masculine

_LIGHT_VERB = re.compile(r"^(?:esta[r]?|estou|estao|estava|ser|e|ter|tem|ficar|fiquei|ficou) (?:com )?|^com (?=a |o )")


def has_meaning(word: str) -> bool:
    """Whether the word is explained as it stands: "O que é feijoada?" asks for a meaning, "O que é bom?" does not."""
    return _key(word) in _folded()


def meaning_of(word: str) -> str | None:
    """The sentence that explains the word; also of its other forms: "pagou mico" for "pagar mico", "faxinas"."""
    if (exact := _exact().get(word.lower())) is not None:
        return exact
    key = _key(word)
    found = next((_folded()[form] for form in (key, *_singular(key)) if form in _folded()), None)
    return found or _verb_forms().get(key)


@cache
def _exact() -> dict[str, str]:
    """{word in lower case: sentence}"""
    data: dict[str, str] = json.loads(data_file("teaching/meanings.json").read_text("utf-8"))
    said = {word.lower(): f'"{word[:1].upper()}{word[1:]}" {meaning}' for word, meaning in data.items()}
    return {word: text if re.search(r"[.?!]\"?$", text) else f"{text}." for word, text in said.items()}


@cache
def _folded() -> dict[str, str]:
    """The same without accents: the first where two words differ by them alone ("troco", "troço")."""
    found: dict[str, str] = {}
    for word, text in _exact().items():
        found.setdefault(fold(word), text)
        found.setdefault(_key(word), text)
    return found


def _key(phrase: str) -> str:
    """The phrase without accents; an idiom of four words or more without its light verb, and with "pra" for "para".

    Learners quote "a faca e o queijo na mão" with or without "estar com".
    """
    key = fold(phrase)
    if key.count(" ") < 2:
        return key
    bare = _LIGHT_VERB.sub("", re.sub(r"\bpara\b", "pra", key))
    return bare if bare.count(" ") >= 2 else re.sub(r"\bpara\b", "pra", key)


def _singular(key: str) -> Iterator[str]:
    """Forms of a noun or adjective that may be explained: "faxinas" -> "faxina", "bagunçada" -> "bagunçado"."""
    one = key.removesuffix("s")
    yield one
    if " " not in one and (other := masculine(one)) is not None:
        yield other


@cache
def _verb_forms() -> dict[str, str]:
    """{folded form of a verb, with what belongs to it: sentence}: "deu um jeito", "pagando mico", "sumi"."""
    found: dict[str, str] = {}
    for entry, text in _exact().items():
        verb, space, rest = entry.partition(" ")
        for form in verb_forms(verb):
            found.setdefault(fold(f"{form}{space}{rest}"), text)
    return found
