"""What stands before Whisper: an energy gate and Silero VAD, because Whisper writes fluent sentences over silence.

Silero is the ONNX model inside faster-whisper's wheel; it needs no torch. Long recordings are
cut in their pauses into windows that Whisper can take.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from faster_whisper.vad import VadOptions, get_speech_timestamps

from serve_app.audio import dbfs
from serve_app.protocols import STT_SAMPLE_RATE, Audio

SILENCE_DBFS = -60.0
"""Below this RMS level a recording holds no voice, whatever a model makes of it."""

NO_SPEECH_PROBABILITY = 0.6
"""What Whisper wrote is not speech if this likely to be none, and Whisper unsure of its own words besides."""

UNSURE_LOG_PROBABILITY = -1.0
"""Mean log probability per token under which Whisper's own recipe distrusts what it wrote."""

WINDOW_S = 30.0
"""The longest sound that Whisper takes at once."""

MARGIN_S = 0.4
"""Kept before and after every voiced part; so a longer pause becomes one of twice this."""

PAUSE_MS = 300
"""A silence this long parts two voiced parts; the closure of a plosive is shorter."""

SLACK_S = 0.1
"""How much earlier or later than Silero's edge a word may begin or end."""

MISSED_S = 0.7
"""Whisper sometimes ends a text before the sound ends; this much voice after it is worth another look."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A voiced part of a recording inside a window; all in seconds.

    `shift` leads from the window's time to the recording's; `start` and `end` bound the voice, in the window's time.
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
        """The times of a word (seconds in the window) in the recording, without the silence around the voice."""

        def voiced(piece: Piece) -> float:
            return min(end, piece.end) - max(start, piece.start)

        piece = max(self.pieces, key=voiced)
        if voiced(piece) > 0:
            start, end = max(start, piece.start), min(end, piece.end)
        return start + piece.shift, end + piece.shift

    def after(self, seconds: float) -> Window | None:
        """What was said after that time in the window, None where it is too little to be words."""
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
    """Nothing that could be a voice: no samples, or none loud enough."""
    return len(audio) == 0 or dbfs(audio) < SILENCE_DBFS


def is_made_up(no_speech_probability: float, mean_log_probability: float) -> bool:
    """Whether Whisper wrote words over a sound that holds none, by its own account."""
    return no_speech_probability > NO_SPEECH_PROBABILITY and mean_log_probability < UNSURE_LOG_PROBABILITY


def windows(audio: Audio) -> list[Window]:
    """The voiced parts of a recording at 16 kHz, in order, joined into as few windows as hold them; [] if none."""
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
        # Neighbours share the pause between them.
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
