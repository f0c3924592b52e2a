"""Words that a learner of a level need not know yet, found by how frequent they are (wordfreq, Zipf scale).

A form counts as frequent as the commonest word that it may be a form of: "cozinhei" as "cozinhar".
"""

from __future__ import annotations

import re

from wordfreq import zipf_frequency

RARER_THAN = {"A1": 4.6, "A2": 4.3, "B1": 4.0, "B2": 3.6, "C1": 3.2, "C2": 2.8}
"""Zipf frequency below which a word is above the level: 5 is "café", 4 "manteiga", 3 "desgastante"."""
LEAST = 1.5
"""Rarer than this is no word, or was misheard."""
LETTERS = 4

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_VERB = re.compile(
    r"(?:(?P<a>[áa]vamos|aríamos|ariam|arão|ará|[ae]ndo|aram|aria|arei|asse|amos|ava|ado|ada|ei|ou|am)|(?P<ei>eríamos|iríamos|eriam|iriam|erão|irão|erá|irá|erei|irei|eram|iram|eria|iria|esse|isse|emos"
    r"|imos|íamos|indo|ido|ida|iam|ia|eu|iu|em|i)|(?P<any>o|a|e))$"
)


def rare_words(text: str, level: str) -> list[str]:
    """The words of `text` above `level`, in their order, each once, in lower case. Names are none."""
    found: dict[str, None] = {}
    for match in _WORD.finditer(text):
        word = match[0]
        begins = not text[: match.start()].rstrip() or text[: match.start()].rstrip()[-1] in ".!?…"
        if len(word) < LETTERS or (word[0].isupper() and not begins):
            continue
        if zipf_frequency(word.lower(), "pt") >= LEAST and _frequency(word.lower()) < RARER_THAN[level]:
            found[word.lower()] = None
    return list(found)


def likely_base(word: str) -> str | None:
    """The commonest word that `word`, in lower case, may be a form of; None where none of them is a word."""
    best = max(sorted(_bases(word)), key=lambda form: (zipf_frequency(form, "pt"), form == word))
    return best if zipf_frequency(best, "pt") >= LEAST else None


def _frequency(word: str) -> float:
    return max(zipf_frequency(form, "pt") for form in _bases(word))


def _bases(word: str) -> set[str]:
    forms = {word, *_singular(word)}
    for form in tuple(forms):
        forms |= _infinitives(form)
    return forms


def _singular(word: str) -> set[str]:
    found = {word[:-1]} if word.endswith("s") else set()
    for ending, single in (("ões", "ão"), ("ães", "ão"), ("ais", "al"), ("éis", "el"), ("ns", "m"), ("es", "")):
        if word.endswith(ending):
            found.add(word.removesuffix(ending) + single)
    return {one for one in found if len(one) >= LETTERS - 1}


def _infinitives(word: str) -> set[str]:
    match = _VERB.search(word)
    if match is None or match.start() < 2:
        return set()
    stem = word[: match.start()]
    endings = {"a": ("ar",), "ei": ("er", "ir"), "any": ("ar", "er", "ir")}[match.lastgroup or "any"]
    stems = {stem, *((stem[:-2] + "c",) if stem.endswith("qu") else ()), *((stem[:-1],) if stem.endswith("gu") else ())}
    return {one + ending for one in stems for ending in (*endings, *(("er", "ir") if match[0] == "endo" else ()))}
