"""Pronunciation through transformers' Whisper: the decoder reads the texts over one encoding of the recording."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.stt.pronunciation import (
    QUIET_RMS,
    TimedWord,
    WordLogprobs,
    bare,
    other_texts,
    scored,
    the_window,
    words_of,
)
from serve_app.engines.stt.short_window import FRAMES_PER_S, LEAST_FRAMES, frames_to_encode
from serve_app.engines.stt.voice_gate import Window
from serve_app.engines.stt.word_aligner import WordAligner
from serve_app.protocols import STT_SAMPLE_RATE, Audio, WordScore

TOGETHER = 32
"""Texts of a sentence that the decoder reads at once."""


class TransformersPronunciation:
    """Scores words with one Whisper. `encode` takes windows and the frames to encode; runs in the engine's thread."""

    def __init__(
        self, tokenizer: Any, aligner: WordAligner, encode: Callable[[Sequence[Window], int], torch.Tensor]
    ) -> None:
        self._tokenizer = tokenizer
        self._aligner = aligner
        self._encode = encode
        self._silence: torch.Tensor | None = None

    @torch.inference_mode()
    def scores(
        self, audio: Audio, sentence: str, language: str, prefix: list[int], scope: CancelScope
    ) -> list[WordScore]:
        """See SpeechToTextEngine.pronounced; [] also if nobody waits for it any more."""
        window, words = the_window(audio), words_of(sentence)
        if window is None or not words or scope.cancelled:
            return []
        others = other_texts(words, language)
        texts = [words, *(other.words for other in others)]
        encoded = self._encode(
            [window], frames_to_encode(math.ceil(len(window.audio) * FRAMES_PER_S / STT_SAMPLE_RATE))
        )
        heard = self._read(encoded, texts, prefix, scope)
        silent = self._read(self._encoded_silence(), texts, prefix, scope)
        if scope.cancelled:
            return []
        [aligned] = self._aligner.align(encoded, [self._tokens(words)[0]], [window], prefix)
        times = [TimedWord(word.start, word.end) for word in aligned.words]
        return scored(words, times, others, heard, silent)

    def _read(
        self, encoded: torch.Tensor, texts: Sequence[Sequence[str]], prefix: list[int], scope: CancelScope
    ) -> list[WordLogprobs]:
        cut = [self._tokens(text) for text in texts]
        read: list[WordLogprobs] = []
        for first in range(0, len(cut), TOGETHER):
            if scope.cancelled:
                break
            part = cut[first : first + TOGETHER]
            told = self._aligner.token_logprobs(encoded, [ids for ids, _ in part], prefix)
            read += [[one[place] for place in places] for one, (_, places) in zip(told, part, strict=True)]
        return read

    def _tokens(self, words: Sequence[str]) -> tuple[list[int], list[slice]]:
        """The tokens of a text, and where each word is among them without its punctuation."""
        ids: list[int] = []
        places: list[slice] = []
        for word in words:
            core, tail = bare(word)
            begin = len(ids)
            ids += self._tokenizer.encode(" " + core, add_special_tokens=False)
            places.append(slice(begin, len(ids)))
            ids += self._tokenizer.encode(tail, add_special_tokens=False) if tail else []
        return ids, places

    def _encoded_silence(self) -> torch.Tensor:
        if self._silence is None:
            samples = LEAST_FRAMES * STT_SAMPLE_RATE // FRAMES_PER_S
            noise = np.random.default_rng(0).normal(0, QUIET_RMS, samples).astype(np.float32)
            self._silence = self._encode([Window(noise, ())], LEAST_FRAMES)
        return self._silence
