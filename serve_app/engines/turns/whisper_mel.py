"""Whisper's log-mel spectrogram of the last 8 s, as Smart Turn was trained on it.

The definition is Whisper's (80 Slaney mel bands, windows of 25 ms every 10 ms, log10, 80 dB of range) after the samples
are brought to mean 0 and variance 1. In numpy, because the libraries that have it load a model runtime each.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from serve_app.protocols import STT_SAMPLE_RATE, Audio

SECONDS = 8
BANDS = 80
_WINDOW = 400
_HOP = 160
_SAMPLES = SECONDS * STT_SAMPLE_RATE
_LINEAR_HZ = 1000.0
_HZ_A_MEL = 200.0 / 3.0
_OCTAVE_STEP = np.log(6.4) / 27.0


def log_mel(audio: Audio) -> NDArray[np.float32]:
    """[80, 800] of the last 8 s of [samples] at 16 kHz; silence is put before a shorter recording."""
    samples = np.zeros(_SAMPLES, np.float32)
    if tail := min(len(audio), _SAMPLES):
        samples[-tail:] = audio[-tail:]
    samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    padded = np.pad(samples.astype(np.float64), _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:-1]
    spectrum = np.fft.rfft(frames * np.hanning(_WINDOW + 1)[:-1])
    power = spectrum.real**2 + spectrum.imag**2
    loud = np.log10(np.maximum(power @ _filters(), 1e-10)).T
    return ((np.maximum(loud, loud.max() - 8.0) + 4.0) / 4.0).astype(np.float32)


@cache
def _filters() -> NDArray[np.float64]:
    """Triangles of equal area on Slaney's mel scale, [201, 80]."""
    top = _LINEAR_HZ / _HZ_A_MEL + np.log(STT_SAMPLE_RATE / 2 / _LINEAR_HZ) / _OCTAVE_STEP
    mels = np.linspace(0.0, top, BANDS + 2)
    linear = mels < _LINEAR_HZ / _HZ_A_MEL
    edges = np.where(linear, mels * _HZ_A_MEL, _LINEAR_HZ * np.exp(_OCTAVE_STEP * (mels - _LINEAR_HZ / _HZ_A_MEL)))
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    hertz = np.linspace(0.0, STT_SAMPLE_RATE / 2, _WINDOW // 2 + 1)[:, None]
    rising, falling = (hertz - low) / (middle - low), (high - hertz) / (high - middle)
    return np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (high - low))
