"""The TextToSpeech deployment: text in, speech out in pieces that join without clicks."""

from __future__ import annotations

import importlib.resources
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
from ray import serve

from serve_app.audio import silence, smooth_edges
from serve_app.errors import InvalidField, StackError
from serve_app.protocols import Speech, TextToSpeechEngine
from serve_app.stack import KokoroOnnxConfig, TtsConfig, TtsSettings
from serve_app.stage import DEFAULTS, failing_as, load, logger, settings
from serve_app.weights import resolve

SENTENCE_PAUSE_S = 0.2
CLAUSE_PAUSE_S = 0.08
"""What a speaker pauses after a sentence and after a clause; engines trim it off."""


def build_engine(config: TtsConfig) -> TextToSpeechEngine:
    """Load the engine the YAML names; blocks for seconds."""
    if isinstance(config, KokoroOnnxConfig):
        from serve_app.engines.kokoro_onnx import KokoroOnnx

        return KokoroOnnx(
            resolve(config.model),
            voices=_voice_files(config.voices_folder),
            language=config.language,
            threads=config.threads,
        )
    from serve_app.engines import not_on_this_machine

    raise not_on_this_machine("tts", config.engine)


def _voice_files(folder: Path | None) -> dict[str, Path]:
    if folder is None:
        folder = Path(str(importlib.resources.files("serve_app").joinpath("data/voices")))
    voices = {path.stem: path for path in sorted(folder.glob("*.bin"))}
    if not voices:
        raise StackError(f"tts.voices_folder: there is no voice file (NAME.bin) in {folder}.")
    return voices


@serve.deployment(name="TextToSpeech", **DEFAULTS)
class TextToSpeech:
    """Speaks one text at a time per call; the engine decides what runs side by side."""

    async def __init__(self, config: TtsConfig) -> None:
        self._settings = TtsSettings()
        self._configured = False
        self._engine = await load(lambda: build_engine(config))
        with failing_as("tts"):
            async for _ in self._engine.synthesize("Olá!", voice=self._engine.voices[0], speed=1.0):
                pass  # the first synthesis of a session is slow; the first learner shall not pay for it

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take new defaults. An unknown voice ends the start; in a stage that serves already it changes nothing.

        Raises:
            InvalidField: at the start, naming the voices there are.
        """
        wanted = settings(TtsSettings, user_config)
        try:
            self._check_voice(wanted.voice)
        except InvalidField as error:
            if not self._configured:
                raise
            logger.error("the settings stay as they were: %s", error.message)
            return
        self._settings = wanted
        self._configured = True

    def voices(self) -> list[str]:
        """The names a client may choose from."""
        return list(self._engine.voices)

    async def synthesize(self, text: str, voice: str | None, speed: float | None) -> AsyncGenerator[Speech, None]:
        """Speak `text`; None takes the stack's default voice or speed. Closing the stream stops the synthesis.

        Each part begins and ends at zero and carries the pause that the text's last mark
        asks for, so parts play one after the other as they are.
        """
        voice = voice or self._settings.voice or self._engine.voices[0]
        self._check_voice(voice)
        rate = self._engine.sample_rate
        with failing_as("tts"):
            stream = self._engine.synthesize(text, voice=voice, speed=speed or self._settings.speed)
            pause = silence(_pause_s(text), rate)
            async with aclosing(stream) as parts:
                async for part in parts:
                    yield Speech(np.concatenate([smooth_edges(part, rate), pause]), rate)

    async def work(self) -> int:
        """What this replica's engine has done since its start; see `work_done` of the engine."""
        return await self._engine.work_done()

    async def ready(self) -> bool:
        """True as soon as the replica answers: it does so only with its weights loaded."""
        return True

    def _check_voice(self, voice: str | None) -> None:
        if voice is not None and voice not in self._engine.voices:
            known = ", ".join(self._engine.voices)
            raise InvalidField(f"There is no voice '{voice}' here; choose one of: {known}.", stage="tts")


def _pause_s(text: str) -> float:
    return SENTENCE_PAUSE_S if text.rstrip("\"'”’)] ").endswith((".", "!", "?", "…")) else CLAUSE_PAUSE_S
