"""The sound of a stream that is still needed, which grows at one end and is forgotten at the other."""

from __future__ import annotations

import numpy as np

from serve_app.protocols import Audio

SMALLEST = 16_000
"""Samples that there is room for at first."""


class Tape:
    """Samples are numbered from the beginning of the stream. Adding one costs the same however many are kept."""

    def __init__(self) -> None:
        self._room: Audio = np.zeros(SMALLEST, np.float32)
        self._at = 0
        """Where in the room the first kept sample is."""
        self._kept = 0
        self._first = 0

    def __len__(self) -> int:
        return self._kept

    @property
    def first(self) -> int:
        """The number of the first sample that is kept."""
        return self._first

    @property
    def end(self) -> int:
        """The number that the next sample will have."""
        return self._first + self._kept

    def add(self, samples: Audio) -> None:
        if self._at + self._kept + len(samples) > len(self._room):
            room = np.zeros(max(SMALLEST, 2 * (self._kept + len(samples))), np.float32)
            room[: self._kept] = self._room[self._at : self._at + self._kept]
            self._room, self._at = room, 0
        end = self._at + self._kept
        self._room[end : end + len(samples)] = samples
        self._kept += len(samples)

    def cut(self, first: int, end: int) -> Audio:
        """A copy of what is kept of the samples from `first` up to `end`."""
        begin = max(0, first - self._first)
        return self._room[self._at + begin : self._at + min(self._kept, max(begin, end - self._first))].copy()

    def forget_before(self, number: int) -> None:
        dropped = min(self._kept, max(0, number - self._first))
        self._at += dropped
        self._kept -= dropped
        self._first += dropped
