"""What both the rules and the hearing are sure of: a word that was heard badly may not have been said."""

from __future__ import annotations

from collections.abc import Sequence

from serve_app.protocols import Word
from serve_app.teaching.error_rules import Correction, find_errors

SURE_RULE = 0.8
SURE_HEARING = 0.5
"""Lowest confidence of a correction, and lowest probability of the words it is about."""

SMALL_WORD = 2


def sure_errors(transcript: str, words: Sequence[Word]) -> list[Correction]:
    """The errors in the transcript whose words were heard well enough; without `words` all that the rules find."""
    heard = _places(transcript, words)
    return [
        error
        for error in find_errors(transcript)
        if error.confidence >= SURE_RULE
        and all(
            probability >= SURE_HEARING
            for start, end, probability in heard
            if start < error.span[1] and end > error.span[0]
        )
    ]


def surely_heard(transcript: str, words: Sequence[Word]) -> str:
    """The transcript with "…" for every word heard less surely than `SURE_HEARING`; all of it without `words`.

    Articles and other words of up to `SMALL_WORD` letters stay: they tell nothing alone, and others need them.
    """
    kept, at = [], 0
    for start, end, probability in _places(transcript, words):
        spoken = transcript[start:end]
        if probability < SURE_HEARING and sum(map(str.isalpha, spoken)) > SMALL_WORD:
            kept += [transcript[at:start], "…"]
            at = end
    return "".join((*kept, transcript[at:]))


def _places(transcript: str, words: Sequence[Word]) -> list[tuple[int, int, float]]:
    """Start and end of each word in the transcript, in characters, and its probability."""
    places, at = [], 0
    for word in words:
        text = word.text.strip()
        start = transcript.find(text, at)
        if text and start >= 0:
            at = start + len(text)
            places.append((start, at, word.probability))
    return places
