"""The SpeechToText deployment: recorded speech in, words out."""

from __future__ import annotations

from typing import Any

from ray import serve

from serve_app.protocols import Audio, SpeechToTextEngine, Transcript
from serve_app.stack import FasterWhisperConfig, SttConfig, SttSettings
from serve_app.stage import DEFAULTS, failing_as, load, settings
from serve_app.weights import resolve


def build_engine(config: SttConfig) -> SpeechToTextEngine:
    """Load the engine the YAML names; blocks for seconds."""
    if isinstance(config, FasterWhisperConfig):
        from serve_app.engines.faster_whisper import FasterWhisper

        return FasterWhisper(
            resolve(config.model),
            compute_type=config.compute_type,
            threads=config.threads,
            beam_size=config.beam_size,
        )
    from serve_app.engines import not_on_this_machine

    raise not_on_this_machine("stt", config.engine)


@serve.deployment(name="SpeechToText", **DEFAULTS)
class SpeechToText:
    """One replica, one model."""

    async def __init__(self, config: SttConfig) -> None:
        self._settings = SttSettings()
        self._engine = await load(lambda: build_engine(config))

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        self._settings = settings(SttSettings, user_config)

    async def transcribe(self, audio: Audio) -> Transcript:
        """Transcribe float32 mono [samples] at 16 kHz."""
        with failing_as("stt"):
            return await self._engine.transcribe(audio, language=self._settings.language, prompt=self._settings.prompt)

    async def work(self) -> int:
        """What this replica's engine has done since its start; see `work_done` of the engine."""
        return await self._engine.work_done()

    async def ready(self) -> bool:
        """True as soon as the replica answers: it does so only with its weights loaded."""
        return True
