"""The base form of any Portuguese word, and how frequent it is."""

from __future__ import annotations

import re
from functools import lru_cache

from wordfreq import zipf_frequency

from serve_app.teaching.base_forms import base_form
from serve_app.teaching.rare_words import LEAST, likely_base

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


@lru_cache(maxsize=4096)
def lemma_of(word: str) -> str | None:
    """Its base form in lower case, by the glossary or else by how words end; None for what is no Portuguese word.

    Not by simplemma: its list takes 100 MiB, for words that are rare here.
    """
    word = word.lower()
    if (known := base_form(word)) is not None:
        return known
    return likely_base(word) if zipf_frequency(word, "pt") >= LEAST else None


def zipf(word: str) -> float:
    """How frequent it is in Portuguese, on the Zipf scale: 3 is once in a million words, 6 once in a thousand."""
    return zipf_frequency(word, "pt")


def words_of(text: str) -> list[tuple[int, str]]:
    """The words and where each begins, without names: those that begin with a capital inside a sentence."""
    found = []
    for match in _WORD.finditer(text):
        before = text[: match.start()].rstrip(' "“«')
        if not match[0][0].isupper() or not before or before[-1] in ".!?…":
            found.append((match.start(), match[0]))
    return found
