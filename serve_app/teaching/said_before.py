"""Finds what the learner said earlier and asks about now: "Em que cidade eu moro?" after "Eu moro em Porto Alegre"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from wordfreq import zipf_frequency

from serve_app.teaching.second_person import said_back, sentences

_WORD = re.compile(r"[^\W\d_]+")
_ABOUT_LEARNER = re.compile(r"\b(eu|meus?|minhas?|comigo|me|nós|a gente|mim)\b", re.IGNORECASE)
_FREQUENT = 6.0
"""Zipf frequency of words that say nothing about the subject ("de", "em", "como")."""

_ASKING = ("lembrar", "saber", "dizer", "mesmo", "falar", "chamar", "nome", "qual", "quem", "quando", "onde", "quanto")


def _stem(word: str) -> str:
    """The part that the forms of a word share: "moro", "mora", "morava" -> "mor"."""
    return word[: max(3, len(word) - 3)] if len(word) > 4 else word[:3]


def _stems(text: str) -> set[str]:
    words = (word.lower() for word in _WORD.findall(text))
    return {_stem(word) for word in words if zipf_frequency(word, "pt") < _FREQUENT and len(word) > 2}


_ASKING_STEMS = frozenset(map(_stem, _ASKING))


def answer_from(question: str, utterances: Sequence[str]) -> str:
    """What the learner said about it, to the learner ("Você mora em Porto Alegre"); "" where nothing fits.

    The latest sentence that shares most words with the question, if the question is about the learner.
    """
    if not _ABOUT_LEARNER.search(question):
        return ""
    wanted = _stems(question)
    best, best_score = "", 0.0
    for number, sentence in enumerate(part for said in utterances for part in sentences(said)):
        shared = wanted & _stems(sentence)
        score = len(shared - _ASKING_STEMS) + 0.4 * len(shared & _ASKING_STEMS) + number * 1e-3
        if score > max(best_score, 0.99) and not sentence.rstrip().endswith("?"):
            back = said_back(sentence)
            if back.whole:
                best, best_score = back.text, score
    return best
