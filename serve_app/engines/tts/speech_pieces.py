"""Filters for speech that arrives in pieces: trims silence, changes the tempo."""

from __future__ import annotations

from fractions import Fraction

import av
import av.error
import av.filter
import numpy as np

from serve_app.protocols import Audio

FLOOR_DBFS = -50.0
"""RMS level of a window below which it counts as silence."""

WINDOW_S = 0.01

KEPT_S = 0.04
"""Silence kept before the first and after the last sound."""

FRAME_S = 0.04
"""Length of the frames given to the filter, which always holds back the last one."""


class SilenceHeldBack:
    """Passes speech on and holds silence back until more speech follows; drops the silence at both ends."""

    def __init__(self, sample_rate: int) -> None:
        self._window = round(WINDOW_S * sample_rate)
        self._kept = round(KEPT_S * sample_rate)
        self._rate = sample_rate
        self._held = np.zeros(0, np.float32)
        self._spoken = False

    def feed(self, piece: Audio) -> Audio:
        """What can be played now: float32 [samples], empty if the piece was only silence."""
        audio = np.concatenate([self._held, piece])
        starts = np.arange(0, len(audio), self._window)
        sizes = np.diff(np.append(starts, len(audio)))
        energy = np.add.reduceat(audio.astype(np.float64) ** 2, starts) if len(audio) else np.zeros(0)
        loud = np.flatnonzero(energy > sizes * 10 ** (FLOOR_DBFS / 10))
        if not loud.size:
            self._held = audio
            return audio[:0]
        start = 0 if self._spoken else max(0, int(starts[loud[0]]) - self._kept)
        end = min(len(audio), int(starts[loud[-1]]) + self._window)
        self._spoken = True
        self._held = audio[end:]
        return audio[start:end]

    def finish(self) -> Audio:
        """The end of the speech: `KEPT_S` of the silence after it."""
        return self._held[: self._kept] if self._spoken else self._held[:0]

    @property
    def silence_s(self) -> float:
        """Silence since the last sound, in seconds; 0 before the first sound."""
        return len(self._held) / self._rate if self._spoken else 0.0


class Tempo:
    """Makes speech `speed` times as fast at the same pitch, piece by piece (FFmpeg's atempo filter, a WSOLA)."""

    def __init__(self, sample_rate: int, speed: float) -> None:
        self._rate = sample_rate
        self._graph = av.filter.Graph()
        source = self._graph.add_abuffer(
            sample_rate=sample_rate, format="flt", layout="mono", time_base=Fraction(1, sample_rate)
        )
        tempo = self._graph.add("atempo", str(speed))
        sink = self._graph.add("abuffersink")
        source.link_to(tempo)
        tempo.link_to(sink)
        self._graph.configure()

    def feed(self, piece: Audio) -> Audio:
        """The output so far, float32 [samples]; about `FRAME_S` stays in the filter."""
        size = round(FRAME_S * self._rate)
        for start in range(0, len(piece), size):
            frame = av.AudioFrame.from_ndarray(piece[start : start + size].reshape(1, -1), "flt", "mono")
            frame.sample_rate = self._rate
            self._graph.push(frame)
        return self._ready()

    def finish(self) -> Audio:
        """The rest of the output."""
        self._graph.push(None)
        return self._ready()

    def _ready(self) -> Audio:
        pieces = [np.zeros(0, np.float32)]
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return np.concatenate(pieces)
            assert isinstance(frame, av.AudioFrame)
            pieces.append(frame.to_ndarray().reshape(-1).astype(np.float32, copy=False))
