"""Cuts a reply that is still being written into pieces for the synthesiser.

The first piece is short, because the learner is waiting for it. Every later piece is as long as the audio already
sent allows: long pieces sound better and cost less per word, but a piece that is not ready when the previous one
ends leaves a silent gap.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from serve_app.sentences import best_cut, cuts, speakable

FIRST_CHARACTERS = 5
"""Shortest first piece: anything shorter ("Oi," is 3) is not worth a synthesis."""

FIRST_WORDS = 2
"""Fewest words of a first piece: a single word ("Entendi.") is not understood when it is synthesised alone."""

LONG_CHARACTERS = 45
"""Text without punctuation may be cut between words from this length on, instead of waiting for a comma."""

PHRASE_CHARACTERS = 20
"""Shortest piece cut between words: long enough to sound like a phrase and to play longer than its synthesis."""

SAFETY = 1.3
"""Safety factor on the expected synthesis time."""

PIECE_CHARACTERS = 220
"""Longest piece given to the synthesiser."""

_PHRASE_CUT = re.compile(r"\s+(?=(?:e|mas|ou|que|porque|pois|para|com|sem|quando|enquanto|onde|como)\s)")


@dataclass
class Pace:
    """How fast speech is synthesised and spoken: a moving average over the pieces so far.

    Starts with figures of a slow CPU and adapts within a few pieces.
    """

    fixed_s: float = 0.2
    synthesis_s_per_character: float = 0.03
    speech_s_per_character: float = 0.062

    def synthesis_s(self, characters: int) -> float:
        """Expected time to synthesise a piece of that many characters."""
        return self.fixed_s + self.synthesis_s_per_character * characters

    def learn(self, characters: int, synthesis_s: float, speech_s: float) -> None:
        """Move the averages a quarter of the way to what this piece took."""
        if characters < FIRST_CHARACTERS:
            return
        observed = max(0.0, synthesis_s - self.fixed_s) / characters
        self.synthesis_s_per_character += 0.25 * (observed - self.synthesis_s_per_character)
        if synthesis_s < self.fixed_s:
            self.fixed_s += 0.25 * (synthesis_s - self.fixed_s)
        self.speech_s_per_character += 0.25 * (speech_s / characters - self.speech_s_per_character)


class PieceCutter:
    """Collects deltas and returns the next piece to synthesise, given the time left to synthesise it."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._text = ""
        self._first = True
        self._final = False

    def feed(self, delta: str) -> None:
        self._text += delta

    def finish(self) -> None:
        """No more text will come; what remains may be cut up to its end."""
        self._final = True

    @property
    def exhausted(self) -> bool:
        return self._final and not speakable(self._text)

    def next_piece(self, slack_s: float) -> str | None:
        """The piece to synthesise now, or None to wait for more text.

        `slack_s` is how long the audio already sent goes on playing. Call again when text was fed, or after
        `wait_s(slack_s)`.
        """
        position = self._first_cut() if self._first else self._later_cut(slack_s)
        if position is None:
            return None
        piece, self._text = speakable(self._text[:position]), self._text[position:]
        if not piece:
            return self.next_piece(slack_s) if self._text else None
        self._first = False
        return piece

    def wait_s(self, slack_s: float) -> float | None:
        """How long to wait for more text without risking a gap; None when there is nothing to cut yet."""
        possible = [*self._marks(), *self._phrases()]
        if not possible:
            return None
        longest = max(position for position, _ in possible)
        return max(0.02, slack_s - self._needed_s(longest))

    def _marks(self) -> list[tuple[int, bool]]:
        return [cut for cut in cuts(self._text, final=self._final) if speakable(self._text[: cut[0]])]

    def _phrases(self) -> list[tuple[int, bool]]:
        """Cuts between words, before a word that joins two phrases; used when no punctuation comes in time."""
        places = (match.start() for match in _PHRASE_CUT.finditer(self._text))
        return [(place, False) for place in places if PHRASE_CHARACTERS <= place <= PIECE_CHARACTERS]

    def _needed_s(self, characters: int) -> float:
        return SAFETY * self._pace.synthesis_s(characters)

    def _first_cut(self) -> int | None:
        for position, _ in self._marks():
            piece = speakable(self._text[:position])
            if len(piece) >= FIRST_CHARACTERS and len(piece.split()) >= FIRST_WORDS and position <= PIECE_CHARACTERS:
                return position
        if len(self._text) < LONG_CHARACTERS:
            return len(self._text) if self._final else None
        phrases = self._phrases()
        return phrases[0][0] if phrases else best_cut(self._text, LONG_CHARACTERS)

    def _later_cut(self, slack_s: float) -> int | None:
        marks = [cut for cut in self._marks() if cut[0] <= PIECE_CHARACTERS]
        in_time = [cut for cut in marks if self._needed_s(cut[0]) <= slack_s]
        sentences = [position for position, ends_sentence in in_time if ends_sentence]
        if sentences:
            return sentences[-1]
        possible = sorted({position for position, _ in [*marks, *self._phrases()]})
        if not possible:
            return best_cut(self._text, PIECE_CHARACTERS) if len(self._text) > PIECE_CHARACTERS else None
        if not self._final and self._needed_s(possible[-1]) + 0.05 < slack_s:
            return None  # a better cut may still come in time
        fitting = [position for position in possible if self._needed_s(position) <= slack_s + 0.1]
        return fitting[-1] if fitting else possible[0]
