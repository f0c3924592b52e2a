"""SpeechToText through faster-whisper (CTranslate2): Whisper in int8 on a CPU, or in float16 on a GPU.

The library pads every recording to 30 s. Here only the speech and a margin are encoded, which takes half of the time
for an utterance of a few seconds; a doubtful result is heard again in the whole window, and in another language if it
sounds like one.

Silero VAD and an energy gate come before the model, because Whisper writes fluent sentences
for silence. Only temperature 0 is used: the default fallback to higher temperatures takes 10 s
on clips under a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.transcribe import Segment
from faster_whisper.vad import get_speech_timestamps

from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.stt import cublas12
from serve_app.engines.stt.faster_pronunciation import FasterPronunciation
from serve_app.engines.stt.short_window import FOREIGN_PROBABILITY, Certainty, combined, frames_to_encode
from serve_app.engines.stt.spoken_form import LANGUAGE, SpokenForm
from serve_app.engines.stt.voice_gate import is_made_up, is_silent
from serve_app.errors import StackError, first_line
from serve_app.protocols import STT_SAMPLE_RATE, Audio, Transcript, Word, WordScore
from serve_app.stopwatch import timed


class ShortWindow(WhisperModel):
    """WhisperModel that encodes the sound that is there and a margin, not the zeros that fill up the 30 s."""

    whole = False
    """True: encode 30 s, as Whisper was trained."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.encoded: list[Any] = []
        """The encoder's outputs, one a window, since the list was emptied."""

    def encode(self, features: np.ndarray) -> Any:
        if not self.whole:
            used = np.flatnonzero(features.any(axis=0))
            frames = frames_to_encode(int(used[-1]) + 1 if used.size else 0)
            features = np.ascontiguousarray(features[:, :frames])
        self.encoded.append(super().encode(features))
        return self.encoded[-1]

    def language_of(self, audio: Audio, languages: Sequence[str]) -> tuple[str, float]:
        """The likeliest of `languages` and its probability among all."""
        [found] = self.model.detect_language(self.encode(pad_or_trim(self.feature_extractor(audio))))
        self.encoded.pop()
        probabilities = {token.strip("<|>"): probability for token, probability in found}
        best = max(languages, key=lambda language: probabilities.get(language, 0.0))
        return best, probabilities.get(best, 0.0)


class FasterWhisper:
    """One Whisper model; utterances are transcribed one after the other.

    A transcription in progress can be stopped only between two windows of 30 s; one that is still
    queued is dropped when its caller is gone.

    `compute_type` None is float16 on CUDA and int8 on the CPU; `share` is of the card's memory.

    Raises:
        StackError: not a CTranslate2 Whisper, or CUDA cannot be used.
    """

    max_batch = 1

    def __init__(
        self,
        model: Path,
        *,
        device: str = "cpu",
        compute_type: str | None = None,
        share: float | None = None,
        threads: int = 2,
        beam_size: int = 5,
    ) -> None:
        for name in ("model.bin", "tokenizer.json"):  # the library would look for a tokenizer on the network
            if not (model / name).is_file():
                raise StackError(f"stt: {model} has no {name}; the faster-whisper engine needs a CTranslate2 folder.")
        if device == "cuda":
            cublas12.hold(share, (model / "model.bin").stat().st_size)
            cublas12.preload()
        compute_type = compute_type or ("float16" if device == "cuda" else "int8")
        try:
            self._model = ShortWindow(str(model), device=device, compute_type=compute_type, cpu_threads=threads)
        except (RuntimeError, ValueError) as error:
            raise StackError(f"stt: CTranslate2 cannot load {model}: {first_line(error)}") from error
        self._beam_size = beam_size
        self._spoken_form = SpokenForm(self._model)
        self._pronunciation = FasterPronunciation(self._model)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="whisper")
        self._pool.submit(self._warm).result()
        self._work_done = 0

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
        hear = timed(self.transcribe_now)
        with CancelScope() as batch:
            scopes = batch.children(len(audios), closed)
            return [
                await loop.run_in_executor(self._pool, hear, audio, language, prompt, others, scope, learner_errors)
                for audio, scope in zip(audios, scopes, strict=True)
            ]

    async def transcribe(
        self,
        audio: Audio,
        *,
        language: str,
        prompt: str | None = None,
        others: Sequence[str] = (),
        learner_errors: bool = False,
    ) -> Transcript:
        options: dict[str, Any] = {"prompt": prompt, "others": others, "learner_errors": learner_errors}
        return (await self.transcribe_batch([audio], language=language, **options))[0]

    async def pronounced(self, audio: Audio, sentence: str, *, language: str) -> list[WordScore]:
        loop = asyncio.get_running_loop()
        with CancelScope() as scope:
            return await loop.run_in_executor(
                self._pool, timed(self._pronunciation.scores), audio, sentence, language, scope
            )

    async def work_done(self) -> int:
        return self._work_done

    def _warm(self) -> None:
        """Run the model once: the first run is slow, and should not be a learner's."""
        silence = np.zeros(STT_SAMPLE_RATE, np.float32)
        options: dict[str, Any] = {"language": "pt", "temperature": 0.0, "max_new_tokens": 2, "vad_filter": False}
        for _ in self._model.transcribe(silence, **options)[0]:
            pass
        get_speech_timestamps(silence)

    def transcribe_now(
        self,
        audio: Audio,
        language: str,
        prompt: str | None,
        others: Sequence[str],
        scope: CancelScope,
        learner_errors: bool = False,
    ) -> Transcript:
        """The whole of it, in the caller's thread."""
        if scope.cancelled or is_silent(audio):
            return Transcript("", no_speech=True)
        heard, language = self.write(audio, language, prompt, others, scope)
        if learner_errors and not scope.cancelled:
            heard = self.as_said(heard, language)
        return assemble(heard, language)

    def write(
        self, audio: Audio, language: str, prompt: str | None, others: Sequence[str], scope: CancelScope
    ) -> tuple[list[Segment], str]:
        """What Whisper writes, and in which language."""
        heard = self.hear(audio, language, prompt, scope)
        certainty = _certainty(heard)
        if heard and others and certainty.maybe_foreign(len(audio) / STT_SAMPLE_RATE):
            other, probability = self._model.language_of(audio, others)
            if probability >= FOREIGN_PROBABILITY and not scope.cancelled:
                foreign = self.hear(audio, other, None, scope, whole=True)
                if _certainty(foreign).fluent:
                    return foreign, other
        if heard and certainty.doubtful and not scope.cancelled:
            again = self.hear(audio, language, prompt, scope, whole=True)
            if _certainty(again).beats(certainty):
                heard = again
        return heard, language

    def as_said(self, written: list[Segment], language: str) -> list[Segment]:
        """What `write` returned last, with a learner's error where it mended one."""
        if language != LANGUAGE or len(self._model.encoded) != 1:
            return written  # of more than one window
        return self._spoken_form.said(written, self._model.encoded[0])

    def hear(
        self, audio: Audio, language: str, prompt: str | None, scope: CancelScope, *, whole: bool = False
    ) -> list[Segment]:
        """One pass of the model, over 30 s if `whole`, else over the speech."""
        options: dict[str, Any] = {
            "language": language,
            "initial_prompt": prompt,
            "beam_size": self._beam_size,
            "temperature": 0.0,
            "vad_filter": True,
            "word_timestamps": True,
            "condition_on_previous_text": False,
        }
        self._model.whole = whole  # all of this runs in one thread
        self._model.encoded.clear()
        segments, _ = self._model.transcribe(audio, **options)
        return list(self._until(scope, segments))

    def _until(self, scope: CancelScope, segments: Iterable[Segment]) -> Iterator[Segment]:
        for segment in segments:  # the library transcribes here, window by window
            self._work_done += 1
            if scope.cancelled:
                return
            yield segment


def _certainty(segments: Sequence[Segment]) -> Certainty:
    parts = [(one.end - one.start, Certainty(one.avg_logprob, one.compression_ratio)) for one in segments]
    return combined(parts)


def assemble(segments: Iterable[Segment], language: str) -> Transcript:
    """The transcript, without what Whisper makes of noise."""
    spoken = [segment for segment in segments if not is_made_up(segment.no_speech_prob, segment.avg_logprob)]
    words = tuple(
        Word(
            word.word.strip(), round(float(word.start), 2), round(float(word.end), 2), round(float(word.probability), 3)
        )
        for segment in spoken
        for word in segment.words or ()
    )
    text = " ".join(segment.text.strip() for segment in spoken).strip()
    if not any(map(str.isalnum, text)):
        return Transcript(text, words, no_speech=True)
    return Transcript(text, words, language=language)
