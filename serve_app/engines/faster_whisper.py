"""SpeechToText through faster-whisper (CTranslate2): Whisper on a CPU, int8.

Silero VAD and an energy gate stand before the model, because Whisper writes fluent
sentences over silence. Decoding is greedy in temperature (0 only): the default fallback
through higher temperatures costs 10 s on sub-second clips.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from faster_whisper import WhisperModel
from faster_whisper.transcribe import Segment

from serve_app.audio import dbfs
from serve_app.protocols import Audio, Transcript, Word

SILENCE_DBFS = -60.0
"""Below this RMS level a recording holds no voice, whatever a model makes of it."""

NO_SPEECH_PROBABILITY = 0.6
"""A segment more likely silence than this, and unsure of its own words, is not speech."""

UNSURE_LOG_PROBABILITY = -1.0
"""Mean log probability per token under which Whisper's own recipe distrusts a segment."""


class FasterWhisper:
    """One Whisper model; utterances are transcribed one after the other.

    A transcription in progress cannot be interrupted inside a 30 s window, but between two;
    one that is still waiting is dropped when its caller goes.
    """

    def __init__(
        self, model: Path, *, device: str = "cpu", compute_type: str = "int8", threads: int = 2, beam_size: int = 5
    ) -> None:
        self._model = WhisperModel(str(model), device=device, compute_type=compute_type, cpu_threads=threads)
        self._beam_size = beam_size
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="whisper")
        self._work_done = 0

    async def transcribe(self, audio: Audio, *, language: str, prompt: str | None = None) -> Transcript:
        loop = asyncio.get_running_loop()
        closed = threading.Event()
        try:
            return await loop.run_in_executor(self._pool, self._transcribe, audio, language, prompt, closed)
        finally:
            closed.set()

    async def work_done(self) -> int:
        return self._work_done

    def _transcribe(self, audio: Audio, language: str, prompt: str | None, closed: threading.Event) -> Transcript:
        if len(audio) == 0 or dbfs(audio) < SILENCE_DBFS:
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
        return _assemble(self._until(closed, segments))

    def _until(self, closed: threading.Event, segments: Iterable[Segment]) -> Iterator[Segment]:
        for segment in segments:  # the library transcribes here, window by window
            self._work_done += 1
            if closed.is_set():
                return
            yield segment


def _assemble(segments: Iterable[Segment]) -> Transcript:
    spoken = [segment for segment in segments if _is_speech(segment)]
    words = tuple(
        Word(
            word.word.strip(), round(float(word.start), 2), round(float(word.end), 2), round(float(word.probability), 3)
        )
        for segment in spoken
        for word in segment.words or ()
    )
    text = " ".join(segment.text.strip() for segment in spoken).strip()
    return Transcript(text, words, no_speech=not any(map(str.isalnum, text)))


def _is_speech(segment: Segment) -> bool:
    silent = segment.no_speech_prob > NO_SPEECH_PROBABILITY
    return not (silent and segment.avg_logprob < UNSURE_LOG_PROBABILITY)
