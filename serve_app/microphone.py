"""What microphones do to a recording, undone: several channels, a constant offset, a very low level.

A voice detector and Whisper expect one channel without an offset, at about the level of somebody close by.
"""

from __future__ import annotations

import math

import numpy as np

from serve_app.protocols import STT_SAMPLE_RATE, Audio

SILENCE_DBFS = -120.0
"""Level of digital silence: finite, so that it can be logged and compared."""

CLOSE_DBFS = -30.0
"""`voice_level` of somebody close to the microphone, rather on the low side."""

FAINTEST_DBFS = -75.0
"""`voice_level` below which a recording holds nothing but the converter's own noise."""

_FRAME = round(0.03 * STT_SAMPLE_RATE)
_VOICED_FRAMES = 10
# Unrelated channels have a ratio of 1, equal ones as many as there are, opposite ones 0.
_CANCELLED = 0.25


def one_channel(samples: Audio) -> Audio:
    """The mean of the channels of [samples, channels], or the loudest channel where they cancel each other out.

    Channels do when one of them is wired in opposite phase. The constant part is taken off each, NaN and infinities
    become 0, and the result, float32 [samples], is clipped to -1..1.
    """
    tame = np.nan_to_num(samples, copy=True, nan=0.0, posinf=0.0, neginf=0.0).clip(-1.0, 1.0)
    tame -= tame.mean(axis=0, dtype=np.float64).astype(np.float32)
    channels = tame.shape[1]
    mixed = tame.mean(axis=1)
    if channels > 1:
        energies = np.einsum("ij,ij->j", tame, tame, dtype=np.float64)
        if np.dot(mixed, mixed) < _CANCELLED * energies.sum() / channels**2:
            mixed = tame[:, energies.argmax()]
    return mixed.clip(-1.0, 1.0)


def voice_level(audio: Audio) -> float:
    """The level in dBFS that the loudest 0.3 s reach, not necessarily in one piece; `SILENCE_DBFS` at least.

    So a short utterance counts in a long silence, and a click does not. A constant offset does not count either.
    """
    frames = len(audio) // _FRAME
    if not frames:
        return SILENCE_DBFS
    powers = np.sort(audio[: frames * _FRAME].reshape(frames, _FRAME).astype(np.float64).var(axis=1))
    power = float(powers[-min(_VOICED_FRAMES, (frames + 1) // 2)])
    return max(SILENCE_DBFS, 10 * math.log10(power)) if power > 0 else SILENCE_DBFS


def brought_close(audio: Audio) -> Audio:
    """A quiet recording raised to `CLOSE_DBFS` and clipped to -1..1; any other, and silence, as it is."""
    level = voice_level(audio)
    if not FAINTEST_DBFS <= level < CLOSE_DBFS:
        return audio
    return (audio * np.float32(10 ** ((CLOSE_DBFS - level) / 20))).clip(-1.0, 1.0)
