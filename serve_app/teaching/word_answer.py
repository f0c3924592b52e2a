"""The answer to a question about a word, and how words are compared."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_QUOTES = str.maketrans("“”„«»‘’‹›", '"""""\'\'\'\'')
_SINGLE = re.compile(r"(?<!\w)'([^\"]+?)'(?!\w)")


@dataclass(frozen=True, slots=True)
class WordAnswer:
    """What the tutor says. `whole` False: only its beginning, where the data lacks the word and a model goes on.

    `easy`: a small model goes on well, as with an example sentence; what a word means it would invent.
    """

    text: str
    whole: bool = True
    easy: bool = False


def plain_quotes(text: str) -> str:
    """`text` with every pair of quotation marks as two `"`; the apostrophe of "I'm" stays."""
    return _SINGLE.sub(r'"\1"', text.translate(_QUOTES))


def fold(text: str) -> str:
    """`text` in lower case without accents and signs: "Até logo!" -> "ate logo"."""
    bare = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^\w\s'-]", " ", bare.replace("’", "'")).split())
