"""Voice detection before Whisper, which writes fluent sentences for silence: an energy gate and Silero VAD.

Silero is the ONNX model inside faster-whisper's wheel; it needs no torch. Long recordings are cut
at pauses into windows that Whisper can take.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from faster_whisper.vad import VadOptions, get_speech_timestamps

from serve_app.microphone import voice_level
from serve_app.protocols import STT_SAMPLE_RATE, Audio

SILENCE_DBFS = -60.0
"""Where not even the loudest 0.3 s reach this level there is no voice, whatever a model says.

Quiet recordings have been raised before, by `serve_app.audio.decode`.
"""

NO_SPEECH_PROBABILITY = 0.6
"""A text is dropped if Whisper's no-speech probability is above this and it is unsure of its words as well."""

UNSURE_LOG_PROBABILITY = -1.0
"""Mean log probability per token below which Whisper's own recipe rejects a text."""

WINDOW_S = 30.0
"""The longest audio that Whisper takes at once."""

MARGIN_S = 0.4
"""Kept before and after every voiced part, so that longer pauses are shortened to twice this."""

PAUSE_MS = 300
"""A silence this long separates two voiced parts; the closure of a plosive is shorter."""

SLACK_S = 0.1
"""How far a word may begin before or end after the edge that Silero found."""

MISSED_S = 0.7
"""Whisper sometimes ends its text before the audio ends; this much voice after it is transcribed again."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A voiced part of a recording inside a window; all in seconds.

    `shift` is added to a time in the window to get that in the recording; `start` and `end` of the voice are times
    in the window.
    """

    shift: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Window:
    """At most 30 s of a recording, float32 [samples] at 16 kHz: its voiced parts and a margin around each."""

    audio: Audio
    pieces: tuple[Piece, ...]

    def place(self, start: float, end: float) -> tuple[float, float]:
        """Convert a word's start and end from the window to the recording, clipped to the voiced part."""

        def voiced(piece: Piece) -> float:
            return min(end, piece.end) - max(start, piece.start)

        piece = max(self.pieces, key=voiced)
        if voiced(piece) > 0:
            start, end = max(start, piece.start), min(end, piece.end)
        return start + piece.shift, end + piece.shift

    def after(self, seconds: float) -> Window | None:
        """A window of the voice after that time, None if it is too little to be words."""
        missed = [piece for piece in self.pieces if piece.end - max(piece.start, seconds) > MISSED_S]
        if not missed:
            return None
        cut = max(seconds, missed[0].start)
        later = tuple(
            Piece(piece.shift + cut, max(piece.start - cut, 0.0), piece.end - cut)
            for piece in self.pieces
            if piece.end > cut
        )
        return Window(self.audio[round(cut * STT_SAMPLE_RATE) :], later)


def is_silent(audio: Audio) -> bool:
    """Whether there are no samples, or none loud enough to be a voice."""
    return voice_level(audio) < SILENCE_DBFS


def is_made_up(no_speech_probability: float, mean_log_probability: float) -> bool:
    """Whether Whisper's own probabilities say that it wrote words for audio without speech."""
    return no_speech_probability > NO_SPEECH_PROBABILITY and mean_log_probability < UNSURE_LOG_PROBABILITY


def windows(audio: Audio) -> list[Window]:
    """The voiced parts of a recording at 16 kHz, in order, in as few windows as possible; [] if there are none."""
    if is_silent(audio):
        return []
    options = VadOptions(
        min_silence_duration_ms=PAUSE_MS, speech_pad_ms=0, max_speech_duration_s=WINDOW_S - 2 * MARGIN_S
    )
    voiced = [(int(part["start"]), min(int(part["end"]), len(audio))) for part in get_speech_timestamps(audio, options)]
    margin = round(MARGIN_S * STT_SAMPLE_RATE)
    edges = [0, *((one[1] + next[0]) // 2 for one, next in pairwise(voiced)), len(audio)]
    made: list[Window] = []
    parts: list[Audio] = []
    pieces: list[Piece] = []
    held = 0

    def close() -> None:
        nonlocal held
        made.append(Window(np.concatenate(parts), tuple(pieces)))
        parts.clear()
        pieces.clear()
        held = 0

    for i, (begin, end) in enumerate(voiced):
        # The pause between two parts is shared by both.
        first, last = max(begin - margin, edges[i]), min(end + margin, edges[i + 1])
        if pieces and held + last - first > WINDOW_S * STT_SAMPLE_RATE:
            close()
        shift = (first - held) / STT_SAMPLE_RATE
        low = max(begin / STT_SAMPLE_RATE - SLACK_S, first / STT_SAMPLE_RATE)
        high = min(end / STT_SAMPLE_RATE + SLACK_S, last / STT_SAMPLE_RATE)
        pieces.append(Piece(shift, low - shift, high - shift))
        parts.append(audio[first:last])
        held += last - first
    if pieces:
        close()
    return made
