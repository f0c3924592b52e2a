"""SpeechToText through faster-whisper (CTranslate2): Whisper in int8 on a CPU, or in float16 on a GPU.

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
from faster_whisper.transcribe import Segment
from faster_whisper.vad import get_speech_timestamps

from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.stt import cublas12
from serve_app.engines.stt.voice_gate import is_made_up, is_silent
from serve_app.errors import StackError, first_line
from serve_app.protocols import STT_SAMPLE_RATE, Audio, Transcript, Word
from serve_app.stopwatch import timed


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
            self._model = WhisperModel(str(model), device=device, compute_type=compute_type, cpu_threads=threads)
        except (RuntimeError, ValueError) as error:
            raise StackError(f"stt: CTranslate2 cannot load {model}: {first_line(error)}") from error
        self._beam_size = beam_size
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="whisper")
        self._pool.submit(self._warm).result()
        self._work_done = 0

    async def transcribe_batch(
        self,
        audios: Sequence[Audio],
        *,
        language: str,
        prompt: str | None = None,
        closed: Sequence[Event] = (),
    ) -> list[Transcript]:
        loop = asyncio.get_running_loop()
        with CancelScope() as batch:
            scopes = batch.children(len(audios), closed)
            return [
                await loop.run_in_executor(self._pool, timed(self._transcribe), audio, language, prompt, scope)
                for audio, scope in zip(audios, scopes, strict=True)
            ]

    async def transcribe(self, audio: Audio, *, language: str, prompt: str | None = None) -> Transcript:
        return (await self.transcribe_batch([audio], language=language, prompt=prompt))[0]

    async def work_done(self) -> int:
        return self._work_done

    def _warm(self) -> None:
        """Run the model once: the first run is slow, and should not be a learner's."""
        silence = np.zeros(STT_SAMPLE_RATE, np.float32)
        options: dict[str, Any] = {"language": "pt", "temperature": 0.0, "max_new_tokens": 2, "vad_filter": False}
        for _ in self._model.transcribe(silence, **options)[0]:
            pass
        get_speech_timestamps(silence)

    def _transcribe(self, audio: Audio, language: str, prompt: str | None, scope: CancelScope) -> Transcript:
        if scope.cancelled or is_silent(audio):
            return Transcript("", no_speech=True)
        options: dict[str, Any] = {
            "language": language,
            "initial_prompt": prompt,
            "beam_size": self._beam_size,
            "temperature": 0.0,
            "vad_filter": True,
            "word_timestamps": True,
            "condition_on_previous_text": False,
        }
        segments, _ = self._model.transcribe(audio, **options)
        return _assemble(self._until(scope, segments))

    def _until(self, scope: CancelScope, segments: Iterable[Segment]) -> Iterator[Segment]:
        for segment in segments:  # the library transcribes here, window by window
            self._work_done += 1
            if scope.cancelled:
                return
            yield segment


def _assemble(segments: Iterable[Segment]) -> Transcript:
    spoken = [segment for segment in segments if not is_made_up(segment.no_speech_prob, segment.avg_logprob)]
    words = tuple(
        Word(
            word.word.strip(), round(float(word.start), 2), round(float(word.end), 2), round(float(word.probability), 3)
        )
        for segment in spoken
        for word in segment.words or ()
    )
    text = " ".join(segment.text.strip() for segment in spoken).strip()
    return Transcript(text, words, no_speech=not any(map(str.isalnum, text)))
