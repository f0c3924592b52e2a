"""How likely given texts are for a recording: Whisper's decoder reads them over the encoder output that is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

LEAST_PROBABILITY = 1e-10
"""Keeps the logarithm of a probability that is rounded to 0 finite."""

FRAMES = 16
"""Of the alignment that CTranslate2 computes as well, which nobody needs here."""


def token_logprobs(
    model: ctranslate2.models.Whisper, tokenizer: Tokenizer, encoded: Any, texts: Sequence[str]
) -> list[NDArray[np.float64]]:
    """Log-probability of each token of each text, given the tokens before it and the sound.

    `encoded` is the encoder's output for one recording, [1, positions, width].
    """
    tokens = [tokenizer.encode(" " + text) for text in texts]
    results = model.align(repeated(encoded, len(texts)), tokenizer.sot_sequence, tokens, FRAMES)
    return [np.log(np.maximum(result.text_token_probs, LEAST_PROBABILITY)) for result in results]


def repeated(encoded: Any, times: int) -> Any:
    """The output for one recording as a batch of equal ones."""
    if times == 1:
        return encoded
    on_cpu = encoded.to_device(ctranslate2.Device.cpu).to(ctranslate2.DataType.float32)
    return ctranslate2.StorageView.from_array(np.repeat(np.array(on_cpu), times, axis=0))
