"""Gives a learner's error back that Whisper mended: "Eu mora em Recife" where it wrote "Eu moro em Recife".

Whisper writes what people usually write. Where a learner is likely to have said another form (`learner_forms`), the
decoder compares the two texts over the same sound, and the learner's form is taken if it is nearly as likely as the
right one. Only the decoder runs again: once for all forms of the words of which it was not sure, and once for the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import Segment, Word
from numpy.typing import NDArray

from serve_app.engines.stt.forced_scores import token_logprobs, word_tokens
from serve_app.engines.stt.learner_forms import Kind, Slip, slips

LANGUAGE = "pt"

LEAST_SCORE: dict[Kind, float] = {"person": -2.0, "gender": -1.0, "preposition": 0.0}
"""Log-probability of the text with the learner's form less that of the text as it was written, from which it counts.

It must reach this read as Galician, and in the mean of Galician and Portuguese. As Galician the decoder expects
Portuguese grammar less and goes more by the sound, but it has something against words that Galician writes otherwise
("minha"). Portuguese alone finds half as many errors at the same score. Chosen on the development half of
bench/data/learner_speech.txt."""

SURE = 0.9
"""Probability of a word above which no other form is tried."""

MOST_POSITIONS = 1400
"""Of the encoder's output, over all texts that are compared at once: bounds the time. 4 texts of 5 s."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A word or a punctuation mark as it stands in the text, with the space before it."""

    text: str
    tokens: list[int]


class SpokenForm:
    """Finds what a learner said; keeps nothing between two utterances."""

    def __init__(self, model: WhisperModel) -> None:
        self._model = model
        self._portuguese, self._galician = (
            Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language=language)
            for language in (LANGUAGE, "gl")
        )

    def said(self, segments: Sequence[Segment], encoded: Any) -> list[Segment]:
        """The segments of one window with the form that was said, if it is not the one that was written.

        `encoded` is the encoder's output for the window. The probability of a learner's form is that it was said and
        not the right one: 0.5 where its score is just enough.
        """
        pieces = [piece for segment in segments for piece in self._pieces(segment)]
        words = [word for segment in segments for word in segment.words or ()]
        most = max(1, MOST_POSITIONS // encoded.shape[1] - 1)
        if not (places := _places(words, pieces)) or not (doubtful := _doubtful(pieces, words, places)[:most]):
            return list(segments)
        texts = [self._with(pieces, slip) for slip in doubtful]
        least = [LEAST_SCORE[slip.kind] for slip in doubtful]
        gains = self._scores(self._galician, encoded, pieces, texts) - least
        best = int(np.argmax(gains))
        if gains[best] < 0:
            return list(segments)
        [gain] = self._scores(self._portuguese, encoded, pieces, [texts[best]]) - least[best]
        if (mean := (gains[best] + gain) / 2) < 0:
            return list(segments)
        return _reworded(segments, places, texts[best], doubtful[best].place, probability=1 / (1 + np.exp(-mean)))

    def _scores(
        self, tokenizer: Tokenizer, encoded: Any, written: Sequence[Piece], texts: Sequence[Sequence[Piece]]
    ) -> NDArray[np.float64]:
        """How much likelier each text is than the one that was written, in log-probability."""
        tokens = [[id for piece in text for id in piece.tokens] for text in (written, *texts)]
        logprobs = token_logprobs(self._model.model, tokenizer, encoded, tokens)
        return np.array([scores.sum() for scores in logprobs[1:]]) - logprobs[0].sum()

    def _pieces(self, segment: Segment) -> list[Piece]:
        tokens = [id for id in segment.tokens if id < self._portuguese.eot]
        if not tokens:
            return []
        return [Piece(*both) for both in zip(*self._portuguese.split_to_word_tokens(tokens), strict=True)]

    def _with(self, pieces: Sequence[Piece], slip: Slip) -> list[Piece]:
        capital = pieces[slip.place].text.strip()[:1].isupper()
        said = slip.said.capitalize() if capital else slip.said
        piece = Piece(" " + said, word_tokens(self._portuguese, said))
        return [*pieces[: slip.place], piece, *pieces[slip.place + 1 :]]


def _places(words: Sequence[Word], pieces: Sequence[Piece]) -> list[list[int]]:
    """The pieces that make up each word, [] if the words are not the pieces' text."""
    places: list[list[int]] = []
    left = iter(enumerate(pieces))
    for word in words:
        text, place = "", []
        while len(text) < len(word.word) and (found := next(left, None)):
            place.append(found[0])
            text += found[1].text
        if text != word.word:
            return []
        places.append(place)
    return places if next(left, None) is None else []


def _doubtful(pieces: Sequence[Piece], words: Sequence[Word], places: Sequence[Sequence[int]]) -> list[Slip]:
    """The likely slips at words of which Whisper was not sure, the least sure first.

    Prepositions come last: Whisper seldom mends them.
    """
    probability = {i: word.probability for word, place in zip(words, places, strict=True) for i in place}
    found = [slip for slip in slips([piece.text for piece in pieces]) if probability.get(slip.place, 1.0) < SURE]
    return sorted(found, key=lambda slip: (slip.kind == "preposition", probability[slip.place]))


def _reworded(
    segments: Sequence[Segment],
    places: Sequence[Sequence[int]],
    pieces: Sequence[Piece],
    changed: int,
    *,
    probability: float,
) -> list[Segment]:
    """The segments with these pieces for text, of which one is new. It stands where the other one stood."""
    place = iter(places)
    new: list[Segment] = []
    for segment in segments:
        words = [(word, next(place)) for word in segment.words or ()]
        reworded = [
            replace(word, word="".join(pieces[i].text for i in these), probability=probability)
            if changed in these
            else word
            for word, these in words
        ]
        new.append(replace(segment, words=reworded, text="".join(word.word for word in reworded)))
    return new
