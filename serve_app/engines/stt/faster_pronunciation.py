"""Pronunciation through faster-whisper: one encoding of the recording, over which the decoder reads the texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.stt.forced_scores import tokens_of, word_logprobs
from serve_app.engines.stt.pronunciation import (
    QUIET_RMS,
    TimedWord,
    WordLogprobs,
    other_texts,
    scored,
    the_window,
    words_of,
)
from serve_app.engines.stt.short_window import FRAMES_PER_S, LEAST_FRAMES, frames_to_encode
from serve_app.engines.stt.voice_gate import Window
from serve_app.protocols import STT_SAMPLE_RATE, Audio, WordScore

POSITION_S = 0.02
"""One position of the encoder's output."""


class FasterPronunciation:
    """Scores words with one Whisper. Not thread-safe: it runs in the engine's one thread."""

    def __init__(self, model: WhisperModel) -> None:
        self._model = model
        self._silence: Any = None

    def scores(self, audio: Audio, sentence: str, language: str, scope: CancelScope) -> list[WordScore]:
        """See SpeechToTextEngine.pronounced; [] also if nobody waits for it any more."""
        window, words = the_window(audio), words_of(sentence)
        if window is None or not words or scope.cancelled:
            return []
        tokenizer = Tokenizer(
            self._model.hf_tokenizer, self._model.model.is_multilingual, task="transcribe", language=language
        )
        others = other_texts(words, language)
        texts = [words, *(other.words for other in others)]
        encoded = self._encoded(window.audio)
        heard = self._read(tokenizer, encoded, texts, scope)
        silent = self._read(tokenizer, self._encoded_silence(), texts, scope)
        if scope.cancelled:
            return []
        return scored(words, self._times(tokenizer, encoded, words, window), others, heard, silent)

    def _read(
        self, tokenizer: Tokenizer, encoded: Any, texts: Sequence[Sequence[str]], scope: CancelScope
    ) -> list[WordLogprobs]:
        return list(word_logprobs(self._model.model, tokenizer, encoded, texts, stop=lambda: scope.cancelled))

    def _encoded(self, audio: Audio) -> Any:
        features = self._model.feature_extractor(audio)
        frames = frames_to_encode(len(audio) * FRAMES_PER_S // STT_SAMPLE_RATE)
        padded = np.pad(features[:, :frames], ((0, 0), (0, max(0, frames - features.shape[1]))))
        return WhisperModel.encode(self._model, np.ascontiguousarray(padded))

    def _encoded_silence(self) -> Any:
        if self._silence is None:
            samples = LEAST_FRAMES * STT_SAMPLE_RATE // FRAMES_PER_S
            noise = np.random.default_rng(0).normal(0, QUIET_RMS, samples).astype(np.float32)
            self._silence = self._encoded(noise)
        return self._silence

    def _times(self, tokenizer: Tokenizer, encoded: Any, words: Sequence[str], window: Window) -> list[TimedWord]:
        ids, places = tokens_of(tokenizer, words)
        frames = max(2, len(window.audio) * FRAMES_PER_S // STT_SAMPLE_RATE)
        [aligned] = self._model.model.align(encoded, tokenizer.sot_sequence, [ids], frames)
        begins = dict[int, int]()
        for token, position in aligned.alignments:
            begins.setdefault(token, position)
        edges = [begins.get(i, frames // 2) * POSITION_S for i in range(len(ids) + 1)]
        return [TimedWord(*window.place(edges[place.start], edges[place.stop])) for place in places]
