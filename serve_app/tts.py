"""The TextToSpeech deployment: text in, a stream of speech out whose parts join without clicks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
from ray import serve
from ray.serve.handle import DeploymentHandle

from serve_app import stopwatch
from serve_app.audio import silence, smooth_edges
from serve_app.config.stack import KokoroConfig, KokoroOnnxConfig, TtsConfig
from serve_app.config.user_config import TtsSettings
from serve_app.errors import unknown_voice
from serve_app.gpu.mps import hold_to_share
from serve_app.protocols import Audio, Speech, TextToSpeechEngine
from serve_app.replicas.due_first import DueFirst
from serve_app.replicas.kept_speech import KeptSpeech
from serve_app.replicas.live_settings import LiveSettings, SettingsMemory
from serve_app.replicas.replica import DEPLOYMENT_OPTIONS, WARM_S, in_time, load_engine, stage_errors
from serve_app.replicas.speech_ahead import SpeechAhead
from serve_app.scenarios.library import kept_texts, openers
from serve_app.spoken_text.normalise import spoken
from serve_app.spoken_text.words import Variety
from serve_app.teaching.level_style import speed_of
from serve_app.teaching.openings import all_openings, by_need
from serve_app.weights.identity import identity
from serve_app.weights.model_names import cache_folder
from serve_app.weights.sources import fetched
from serve_app.weights.voices import voice_files

SENTENCE_PAUSE_S = 0.2
CLAUSE_PAUSE_S = 0.08
"""The pauses after a sentence and after a clause; engines trim them, so they are added here."""

SOUNDS = 2
"""One more whenever the same text comes to sound different: what was kept before is made again."""


def build_engine(config: TtsConfig, model: Path) -> TextToSpeechEngine:
    """Load the engine that the YAML names; blocks for seconds."""
    hold_to_share(config.num_gpus)
    if isinstance(config, KokoroOnnxConfig):
        from serve_app.engines.tts.kokoro_onnx import KokoroOnnx

        return KokoroOnnx(
            model, voices=voice_files(config.voices_folder), language=config.language, threads=config.threads
        )
    if isinstance(config, KokoroConfig):
        from serve_app.engines.tts.kokoro import KokoroTorch

        return KokoroTorch(model, voices=voice_files(config.voices_folder), device=config.device, share=config.num_gpus)
    from serve_app.engines.tts.qwen3_tts import Qwen3Tts

    return Qwen3Tts(
        model,
        device=config.device,
        share=config.num_gpus,
        dtype=config.dtype,
        language=config.language,
        chunk_frames=config.chunk_frames,
    )


@serve.deployment(name="TextToSpeech", **DEPLOYMENT_OPTIONS)
class TextToSpeech:
    """One text per call, and one at a time: that which is due first.

    The openings of replies and of lessons are synthesised ahead in the stack's own voice, while nobody speaks.
    """

    async def __init__(
        self, config: TtsConfig, after: DeploymentHandle | None = None, *, memory: SettingsMemory | None = None
    ) -> None:
        self._settings = LiveSettings("TextToSpeech", TtsSettings, self._apply, memory=memory)
        european = getattr(config, "language", "").lower() in ("pt", "pt-pt")  # espeak's names of the varieties
        self._variety: Variety = "pt-pt" if european else "pt-br"

        def build(model: Path) -> tuple[TextToSpeechEngine, KeptSpeech]:
            made_by = f"{SOUNDS} {config!r} {identity(model)}"
            return build_engine(config, model), KeptSpeech(
                [*all_openings(), *kept_texts()], cache_folder() / "speech", made_by
            )

        self._engine, self._kept = await load_engine(lambda: fetched(config), build, after)
        self._ahead = SpeechAhead(self._kept, self._whole)
        self._pieces = DueFirst()
        with stage_errors("tts"):
            async with in_time(WARM_S, "The first words were not spoken"):
                async for _ in self._engine.synthesize("Olá!", voice=self._engine.voices[0], speed=1.0):
                    pass  # warm up: an engine's first synthesis is slow

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply new defaults for clients that choose nothing."""
        await self._settings.change(user_config)

    async def _apply(self, wanted: TtsSettings) -> None:
        self._check_voice(wanted.voice)
        self._pieces.by_due = wanted.pieces == "due"
        self._ahead.stop()
        if wanted.openings_ahead:
            openings = ((text, wanted.speed or speed_of(level)) for text, level in (*by_need(), *openers()))
            self._ahead.begin(openings, wanted.voice or self._engine.voices[0])

    def refused_settings(self) -> str | None:
        """Why the latest user_config is not in force; None where it is."""
        return self._settings.refused

    def voices(self) -> list[str]:
        """The names a client may choose from."""
        return list(self._engine.voices)

    async def synthesize(
        self, text: str, voice: str | None, speed: float | None, level_speed: float = 1.0, slack_s: float = 0.0
    ) -> AsyncGenerator[Speech, None]:
        """Speak `text`; None takes the stack's voice or speed, `level_speed` if the stack has none.

        `slack_s` is how long the listener still has something to hear: whoever has least is served first. Closing the
        stream stops the synthesis.

        Parts are to be played back to back. Each begins and ends at zero and includes the pause for the text's last
        punctuation mark; with a seamless engine the pause is a part of its own. The openings of replies are
        synthesised once and kept.
        """
        voice = voice or self._settings.now.voice or self._engine.voices[0]
        speed = speed or self._settings.now.speed or level_speed
        self._check_voice(voice)
        with self._ahead.in_use():
            if (kept := self._kept.find(text, voice, speed)) is not None:
                yield Speech(kept, self._engine.sample_rate)
                return
            made: list[Audio] = []
            async with aclosing(self._synthesize(text, voice, speed, slack_s)) as parts:
                async for part in parts:
                    made.append(part.samples)
                    yield part
            if self._kept.keeps(text):
                self._kept.keep(text, voice, speed, np.concatenate(made))

    async def _whole(self, text: str, voice: str, speed: float) -> Audio:
        return np.concatenate([part.samples async for part in self._synthesize(text, voice, speed, float("inf"))])

    async def _synthesize(self, text: str, voice: str, speed: float, slack_s: float) -> AsyncGenerator[Speech, None]:
        async with self._pieces.turn(slack_s), aclosing(self._made(text, voice, speed)) as parts:
            async for part in parts:
                yield part

    async def _made(self, text: str, voice: str, speed: float) -> AsyncGenerator[Speech, None]:
        rate, watch = self._engine.sample_rate, stopwatch.start()
        with stage_errors("tts"):
            stream = self._engine.synthesize(spoken(text, self._variety), voice=voice, speed=speed)
            pause = silence(_pause_s(text), rate)
            async with aclosing(stream) as parts:
                if self._engine.seamless:
                    async for part in parts:
                        yield Speech(part, rate, watch.seconds)
                    yield Speech(pause, rate, watch.seconds)
                else:
                    async for part in parts:
                        yield Speech(np.concatenate([smooth_edges(part, rate), pause]), rate, watch.seconds)

    async def work(self) -> int:
        """The engine's work since its start; see `work_done` of the engine."""
        return await self._engine.work_done()

    async def ready(self) -> bool:
        """Always True: a replica answers only once its weights are loaded."""
        return True

    def _check_voice(self, voice: str | None) -> None:
        if voice is not None and voice not in self._engine.voices:
            raise unknown_voice(voice, self._engine.voices, stage="tts")


def _pause_s(text: str) -> float:
    return SENTENCE_PAUSE_S if text.rstrip("\"'”’)] ").endswith((".", "!", "?", "…")) else CLAUSE_PAUSE_S
