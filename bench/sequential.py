"""The plain way, one library after the other, each on the whole text; bench.turns runs it in a process of its own.

What a script does with faster-whisper, llama.cpp and kokoro-onnx: the greedy transcript, the whole reply, the whole
speech. Each model has both cores while it works, and the prompt is cached.
"""

from __future__ import annotations

import io
import json
import sys
import time
from typing import Any

from faster_whisper import WhisperModel
from kokoro_onnx import Kokoro

from bench import asked, plain


class Script:
    """A conversation with the three models."""

    def __init__(self, settings: plain.Settings) -> None:
        self._settings = settings
        self._whisper = WhisperModel(settings.whisper, device="cpu", compute_type="int8", cpu_threads=plain.CORES)
        self._llama, _ = plain.llama(settings)
        self._kokoro = Kokoro(settings.kokoro, settings.voices)
        self._messages = list(settings.prompt)

    def turn(self, recording: bytes) -> dict[str, Any]:
        started = time.perf_counter()
        segments, _ = self._whisper.transcribe(io.BytesIO(recording), language="pt", beam_size=1)
        transcript = "".join(segment.text for segment in segments).strip()
        heard = time.perf_counter()
        self._messages.append({"role": "user", "content": transcript})
        reply = self._write()
        self._messages.append({"role": "assistant", "content": reply})
        written = time.perf_counter()
        samples, rate = self._kokoro.create(reply, self._settings.voice, lang="pt-br")
        ended = time.perf_counter()
        stages = {"stt_ms": heard - started, "llm_ms": written - heard, "tts_ms": ended - written}
        return {
            "transcript": transcript,
            "response": reply,
            "first_audio_s": ended - started,
            "total_s": ended - started,
            "pieces": [(ended - started, len(samples) / rate)],
            "spoken": [reply],
            "timing": {stage: round(1000 * seconds) for stage, seconds in stages.items()},
        }

    def forget(self) -> None:
        self._messages = list(self._settings.prompt)

    def _write(self) -> str:
        answers: list[dict[str, Any]] = []
        request = {"messages": self._messages, "cache_prompt": True, **self._settings.sampling}
        self._llama.handle_chat_completions(request, answers.append)
        return answers[0]["choices"][0]["message"]["content"].strip()


if __name__ == "__main__":
    script = Script(plain.Settings(**json.loads(sys.argv[1])))
    asked.answer(script.turn, script.forget)
