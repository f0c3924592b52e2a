"""SpeechToText through transformers: Whisper checkpoints as OpenAI publishes them, batched across learners.

Windows of at most 30 s go through the model together (transformers_pass.py). What is doubtful is heard again in the
whole 30 s, or in another language if it sounds like one (short_window.py).

transformers' Whisper makes up sentences for silence even with its thresholds. So an energy gate and a
voice detector come first, and without a voice the model is not called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import numpy as np
import torch

from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.stt.short_window import Certainty, combined
from serve_app.engines.stt.transformers_checkpoint import load
from serve_app.engines.stt.transformers_pass import Heard, WindowPass
from serve_app.engines.stt.voice_gate import Window, windows
from serve_app.engines.torch_device import claim
from serve_app.protocols import STT_SAMPLE_RATE, Audio, Transcript, WordScore
from serve_app.stopwatch import timed


@dataclass(slots=True)
class _Recording:
    seconds: float
    windows: Sequence[Window]
    scope: CancelScope
    language: str
    """The one that `parts` are in."""
    parts: list[Heard] = field(default_factory=list)

    @property
    def certainty(self) -> Certainty:
        return _certainty(self.parts)

    def other_language(self) -> str | None:
        """Another language that should be tried."""
        if not self.parts or not self.certainty.maybe_foreign(self.seconds):
            return None
        return next((part.other for part in self.parts if part.other), None)

    def transcript(self) -> Transcript:
        spoken = [word for part in self.parts if not part.made_up for word in part.words]
        words = tuple(sorted(spoken, key=lambda word: word.start))
        text = " ".join(word.text for word in words)
        if not any(map(str.isalnum, text)):
            return Transcript("", no_speech=True)
        return Transcript(text, words, language=self.language)


class TransformersWhisper:
    """One Whisper checkpoint in a local folder; up to `max_batch` windows of 30 s go through it together.

    An utterance that is cancelled before its batch starts is skipped; a batch whose utterances are all
    cancelled stops at the next token. `share` is of the card's memory. On a CPU float32 replaces
    float16, which is slow there. Without `alignment_heads` in the checkpoint's generation config the
    words are spread evenly over the voice.

    Raises:
        StackError: the folder holds no multilingual Whisper of transformers, or there is no card.
    """

    def __init__(
        self,
        model: Path,
        *,
        device: str = "cuda",
        share: float | None = None,
        dtype: str = "float16",
        max_batch: int = 8,
    ) -> None:
        self.max_batch = max_batch
        on = claim(device, share)
        number = torch.float32 if device == "cpu" and dtype == "float16" else getattr(torch, dtype)
        weights, processor = load(model, number)
        weights.to(on)
        self._model = WindowPass(weights, processor, device=on, dtype=number)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="whisper")
        # The first pass on a card takes seconds: done here, so that no learner waits for it.
        second = np.random.default_rng(0).normal(0, 0.1, STT_SAMPLE_RATE).astype(np.float32)
        prefix = self._model.prefix(self._model.languages()[0], None)
        self._model.hear([Window(second, ())], prefix, [CancelScope()])
        self._warmed = self._model.steps

    async def transcribe_batch(
        self,
        audios: Sequence[Audio],
        *,
        language: str,
        prompt: str | None = None,
        others: Sequence[str] = (),
        learner_errors: bool = False,
        closed: Sequence[Event] = (),
    ) -> list[Transcript]:
        loop = asyncio.get_running_loop()
        with CancelScope() as batch:
            scopes = batch.children(len(audios), closed)
            return await loop.run_in_executor(
                self._pool, timed(self._transcribe), audios, language, prompt, others, scopes
            )

    async def transcribe(
        self,
        audio: Audio,
        *,
        language: str,
        prompt: str | None = None,
        others: Sequence[str] = (),
        learner_errors: bool = False,
    ) -> Transcript:
        return (await self.transcribe_batch([audio], language=language, prompt=prompt, others=others))[0]

    async def pronounced(self, audio: Audio, sentence: str, *, language: str) -> list[WordScore]:
        loop = asyncio.get_running_loop()
        prefix = self._model.prefix(language, None)
        with CancelScope() as scope:
            scores = timed(self._model.pronunciation.scores)
            return await loop.run_in_executor(self._pool, scores, audio, sentence, language, prefix, scope)

    async def work_done(self) -> int:
        """Steps of the decoder, each one token of every window in the batch."""
        return self._model.steps - self._warmed

    def _transcribe(
        self,
        audios: Sequence[Audio],
        language: str,
        prompt: str | None,
        others: Sequence[str],
        scopes: Sequence[CancelScope],
    ) -> list[Transcript]:
        prefix = self._model.prefix(language, prompt)
        recordings = [
            _Recording(len(audio) / STT_SAMPLE_RATE, () if scope.cancelled else windows(audio), scope, language)
            for audio, scope in zip(audios, scopes, strict=True)
        ]
        for recording, parts in self._pass(recordings, prefix, others=others):
            recording.parts = parts
        self._try_others(recordings, others)
        doubtful = [
            one
            for one in recordings
            if one.language == language and one.certainty.doubtful and not all(part.whole for part in one.parts)
        ]
        for recording, parts in self._pass(doubtful, prefix, whole=True):
            if _certainty(parts).beats(recording.certainty):
                recording.parts = parts
        return [recording.transcript() for recording in recordings]

    def _try_others(self, recordings: Sequence[_Recording], others: Sequence[str]) -> None:
        """Hear what sounds like one of `others` in that language, and keep it where it is fluent there."""
        sounds = [recording.other_language() for recording in recordings]
        for other in others:
            tried = [one for one, sounds_like in zip(recordings, sounds, strict=True) if sounds_like == other]
            if not tried:
                continue
            for recording, parts in self._pass(tried, self._model.prefix(other, None), whole=True):
                if _certainty(parts).fluent:
                    recording.parts, recording.language = parts, other

    def _pass(
        self,
        recordings: Sequence[_Recording],
        prefix: list[int],
        *,
        whole: bool = False,
        others: Sequence[str] = (),
    ) -> list[tuple[_Recording, list[Heard]]]:
        """Hear recordings once, in the whole 30 s if `whole`: each, and what came of its windows."""
        heard: list[list[Heard]] = [[] for _ in recordings]
        waiting = [(i, window) for i, recording in enumerate(recordings) for window in recording.windows]
        while waiting := [(i, window) for i, window in waiting if not recordings[i].scope.cancelled]:
            waiting.sort(key=lambda each: len(each[1].audio))  # a batch takes as long as its longest window
            batch, waiting = waiting[: self.max_batch], waiting[self.max_batch :]
            scopes = [recordings[i].scope for i, _ in batch]
            made = self._model.hear([window for _, window in batch], prefix, scopes, whole=whole, others=others)
            for (i, _), one in zip(batch, made, strict=True):
                if one is None:
                    continue
                heard[i].append(one)
                if one.rest:
                    waiting.append((i, one.rest))
        return list(zip(recordings, heard, strict=True))


def _certainty(parts: Sequence[Heard]) -> Certainty:
    return combined([(part.seconds, part.certainty) for part in parts])
