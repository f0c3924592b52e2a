"""TextToSpeech through kokoro-onnx: Kokoro-82M on onnxruntime, 24 kHz.

Each voice is one file: 510 style vectors of 256 float32, one per number of phonemes
(hexgrad/Kokoro-82M). onnxruntime's threads do not spin while they wait: on a machine that also runs
the LLM, spinning would take CPU time from it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from kokoro_onnx import Kokoro
from kokoro_onnx.config import SAMPLE_RATE

from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.tts.espeak import phonemes
from serve_app.engines.tts.kokoro_voices import MAX_CHARACTERS, load_style
from serve_app.protocols import Audio
from serve_app.sentences import split_long
from serve_app.stopwatch import timed


class KokoroOnnx:
    """One Kokoro session; texts are spoken one after the other, in order of arrival."""

    sample_rate: int = SAMPLE_RATE
    seamless = False

    def __init__(self, model: Path, *, voices: Mapping[str, Path], language: str = "pt-br", threads: int = 2) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._styles = {name: load_style(path) for name, path in voices.items()}
        with tempfile.TemporaryDirectory() as folder:
            # The library reads its voices from one archive, with an array for each voice.
            archive = Path(folder, "voices.npz")
            np.savez(archive, allow_pickle=False, **self._styles)
            self._kokoro = Kokoro.from_session(session, str(archive))
        self._language = language
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="kokoro")
        self.voices: Sequence[str] = tuple(voices)
        self._work_done = 0

    async def synthesize(self, text: str, *, voice: str, speed: float) -> AsyncGenerator[Audio, None]:
        loop = asyncio.get_running_loop()
        with CancelScope() as scope:
            for part in split_long(text, MAX_CHARACTERS):
                audio = await loop.run_in_executor(self._pool, timed(self._speak), part, voice, speed, scope)
                if audio is not None:
                    yield audio

    async def work_done(self) -> int:
        return self._work_done

    def _speak(self, text: str, voice: str, speed: float, scope: CancelScope) -> Audio | None:
        if scope.cancelled:
            return None
        try:
            said = phonemes(text, self._language)
            audio, _ = self._kokoro.create(said, self._styles[voice], speed, self._language, is_phonemes=True)
        except ValueError as error:
            # Nothing pronounceable ("..." or an emoji): nothing to say, and not an error.
            if "phonemes" in str(error):
                return None
            raise
        self._work_done += 1
        return np.ascontiguousarray(audio, dtype=np.float32)
