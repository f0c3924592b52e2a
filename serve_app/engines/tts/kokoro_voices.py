"""Shared by both engines for Kokoro-82M: its voice files, and how much text it takes at once."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from serve_app.errors import StackError
from serve_app.protocols import Audio

MAX_CHARACTERS = 300
"""Longest text given to the model at once: it silently drops what is over 510 phonemes."""

MAX_PHONEMES = 510

STYLE_SHAPE = (MAX_PHONEMES, 1, 256)
"""One style vector per number of phonemes."""


def load_style(path: Path) -> Audio:
    """Read one voice: float32 [510, 1, 256].

    Raises:
        StackError: the file is missing or has another size.
    """
    try:
        style = np.fromfile(path, dtype="<f4")
    except OSError as error:
        raise StackError(f"The voice file {path} cannot be read: {error.strerror}.") from error
    values = math.prod(STYLE_SHAPE)
    if style.size != values:
        raise StackError(f"The voice file {path} is not a Kokoro voice: {values} float32 values are expected.")
    return style.reshape(STYLE_SHAPE)
