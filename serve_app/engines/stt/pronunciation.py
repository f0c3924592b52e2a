"""How well each word of a given sentence was said: the sentence against others that differ in one sound.

Whisper's decoder reads every text over the sound. The plain probability of a word says little, since the model expects
"pão" after "comi" whatever was said. So a word is compared with what a learner might have said in its place
(`sound_alikes`) and with nothing at all, and of each log-probability a part of what the decoder gives the same text
over silence is taken away. The texts end one word after the place, where the difference has been heard.

An engine reads the texts; nothing here is of its library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serve_app.engines.stt.sound_alikes import sound_alikes
from serve_app.engines.stt.voice_gate import WINDOW_S, Window, windows
from serve_app.errors import BadAudio
from serve_app.protocols import Audio, Verdict, WordScore

LANGUAGE = "pt"

EXPECTED = 0.5
"""The part of a text's log-probability over silence that is taken away: of 0 to 1, what told words apart best."""

MOST_TEXTS = 120
"""Read for one sentence, which bounds the time. A long sentence has fewer for each word."""

NEUTRAL, STEEP = -1.0, 2.0
"""Log-odds at which the score is 0.5, and how many change it by a factor of e."""

CLEAR, UNCLEAR = 0.5, 0.27
"""Scores from which a word is clear, and under which it is unclear. `python -m bench.pronunciation` counts both."""

QUIET_RMS = 0.001
"""Of the noise that stands for silence: -60 dBFS."""

WordLogprobs = Sequence[NDArray[np.float64]]
"""Of one text: for each word the log-probabilities of its tokens, without its punctuation."""


@dataclass(frozen=True, slots=True)
class Text:
    """The sentence with `said` in place of one word, up to the word after it; "" is the word left out."""

    place: int
    said: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimedWord:
    """Where the sentence's word lies in the recording, in seconds."""

    start: float
    end: float


def the_window(audio: Audio) -> Window | None:
    """The voice of a recording, None if there is none.

    Raises:
        BadAudio: it is more than Whisper takes at once.
    """
    found = windows(audio)
    if len(found) > 1:
        raise BadAudio(f"One sentence at a time: at most {WINDOW_S:g} s of speech.", code="too_long", status=413)
    return found[0] if found else None


def words_of(sentence: str) -> list[str]:
    """The words with the punctuation after each; what has no letter or figure is no word."""
    return [word for word in sentence.split() if any(map(str.isalnum, word))]


def bare(word: str) -> tuple[str, str]:
    """The word without punctuation, and the punctuation after it."""
    begun = re.sub(r"^\W+", "", word)
    core = re.sub(r"\W+$", "", begun)
    return core, begun[len(core) :]


def other_texts(words: Sequence[str], language: str) -> list[Text]:
    """The texts to compare the sentence with."""
    most = max(2, MOST_TEXTS // max(1, len(words)))
    return [text for place in range(len(words)) for text in _at(words, place, language, most)]


def _at(words: Sequence[str], place: int, language: str, most: int) -> Iterator[Text]:
    core, tail = bare(words[place])
    after = words[place + 1 : place + 2]
    yield Text(place, "", (*words[:place], *after))
    for said in (sound_alikes(core.lower()) if language == LANGUAGE else ())[: most - 1]:
        written = said.capitalize() if core[:1].isupper() else said
        yield Text(place, said, (*words[:place], written + tail, *after))


def scored(
    words: Sequence[str],
    times: Sequence[TimedWord],
    others: Sequence[Text],
    heard: Sequence[WordLogprobs],
    silent: Sequence[WordLogprobs],
) -> list[WordScore]:
    """The score of each word. `heard` and `silent` hold the sentence first and then `others`."""

    def weight(text: int, first: int, last: int) -> float:
        def total(read: WordLogprobs) -> float:
            return float(sum(tokens.sum() for tokens in read[first:last]))

        return total(heard[text]) - EXPECTED * total(silent[text])

    made = []
    for place, (word, time) in enumerate(zip(words, times, strict=True)):
        own = weight(0, place, place + 2)
        rivals = [
            (weight(n, place, place + 2 if text.said else place + 1), text.said)
            for n, text in enumerate(others, 1)
            if text.place == place
        ]
        best, said = max(rivals)
        odds = own - best + float(heard[0][place].mean())
        score = float(1 / (1 + np.exp(-(odds - NEUTRAL) / STEEP)))
        verdict: Verdict = "clear" if score >= CLEAR else "doubtful" if score >= UNCLEAR else "unclear"
        if verdict == "unclear" and not said:
            verdict = "missing"
        alike = said if said and verdict != "clear" and best > own else None
        made.append(WordScore(bare(word)[0], round(time.start, 2), round(time.end, 2), round(score, 3), verdict, alike))
    return made
