"""How likely given texts are for a recording: Whisper's decoder reads them over the encoder output that is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from numpy.typing import NDArray

from serve_app.engines.stt.pronunciation import bare

LEAST_PROBABILITY = 1e-10
"""Keeps the logarithm of a probability that is rounded to 0 finite."""

TOGETHER = 8
"""Texts of a sentence that the decoder reads at once."""

FRAMES = 16
"""Of the alignment that CTranslate2 computes as well, which nobody needs here."""


def token_logprobs(
    model: ctranslate2.models.Whisper, tokenizer: Tokenizer, encoded: Any, texts: Sequence[Sequence[int]]
) -> list[NDArray[np.float64]]:
    """Log-probability of each token of each text, given the tokens before it and the sound.

    `encoded` is the encoder's output for one recording, [1, positions, width].
    """
    batch = _repeated(encoded, len(texts))
    results = model.align(batch, tokenizer.sot_sequence, [list(text) for text in texts], FRAMES)
    return [np.log(np.maximum(result.text_token_probs, LEAST_PROBABILITY)) for result in results]


def word_logprobs(
    model: ctranslate2.models.Whisper,
    tokenizer: Tokenizer,
    encoded: Any,
    texts: Sequence[Sequence[str]],
    stop: Callable[[], bool],
) -> list[list[NDArray[np.float64]]]:
    """For each text, given as words with their punctuation, the log-probabilities of each word's tokens.

    Ends early, with fewer texts, once `stop` says so.
    """
    cut = [tokens_of(tokenizer, text) for text in texts]
    read: list[list[NDArray[np.float64]]] = []
    for first in range(0, len(cut), TOGETHER):
        if stop():
            break
        part = cut[first : first + TOGETHER]
        told = token_logprobs(model, tokenizer, encoded, [ids for ids, _ in part])
        read += [[one[place] for place in places] for one, (_, places) in zip(told, part, strict=True)]
    return read


def tokens_of(tokenizer: Tokenizer, words: Sequence[str]) -> tuple[list[int], list[slice]]:
    """The tokens of a text, and where each word is among them without its punctuation."""
    ids: list[int] = []
    places: list[slice] = []
    for word in words:
        core, tail = bare(word)
        begin = len(ids)
        ids += word_tokens(tokenizer, core)
        places.append(slice(begin, len(ids)))
        ids += tokenizer.encode(tail) if tail else []
    return ids, places


def word_tokens(tokenizer: Tokenizer, word: str) -> list[int]:
    """The tokens of a word as Whisper writes it inside a text, with the space before it.

    Some copies of Whisper's tokenizer lack a merge and cut words that the model writes as one token. So the longest
    known beginning is taken each time where that makes fewer tokens.
    """
    merged = tokenizer.encode(" " + word)
    vocabulary = tokenizer.tokenizer
    longest: list[int] = []
    rest = "".join(_BYTES[byte] for byte in f" {word}".encode())
    while rest:
        begun = ((end, vocabulary.token_to_id(rest[:end])) for end in range(len(rest), 0, -1))
        end, known = next((end, id) for end, id in begun if id is not None)  # every byte is a token
        longest.append(known)
        rest = rest[end:]
    return min(merged, longest, key=len)


def _byte_characters() -> list[str]:
    """The character that stands for each byte in a vocabulary of byte-level BPE (as GPT-2 has it)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


_BYTES = _byte_characters()


def _repeated(encoded: Any, times: int) -> Any:
    """The output for one recording as a batch of equal ones."""
    if times == 1:
        return encoded
    on_cpu = encoded.to_device(ctranslate2.Device.cpu).to(ctranslate2.DataType.float32)
    return ctranslate2.StorageView.from_array(np.repeat(np.array(on_cpu), times, axis=0))
