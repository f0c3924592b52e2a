"""The SpeechToText deployment: recorded speech in, words out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from serve_app import stopwatch
from serve_app.audio import duration_s
from serve_app.config.stack import FasterWhisperConfig, SttConfig
from serve_app.config.user_config import SttSettings
from serve_app.gpu.mps import hold_to_share
from serve_app.lesson.stage_protocols import HearingRequest
from serve_app.protocols import STT_SAMPLE_RATE, Audio, SpeechToTextEngine, Transcript, WordScore
from serve_app.replicas.live_settings import LiveSettings, SettingsMemory
from serve_app.replicas.replica import DEPLOYMENT_OPTIONS, load_engine, stage_errors
from serve_app.weights.sources import fetched

SHORT_ANSWER_S = 1.0
"""Up to this length Whisper is told what the tutor said before. With a prompt it may end a longer utterance too early
and write the rest again and again."""


def build_engine(config: SttConfig, model: Path) -> SpeechToTextEngine:
    """Load the engine that the YAML names; blocks for seconds."""
    hold_to_share(config.num_gpus)
    if isinstance(config, FasterWhisperConfig):
        from serve_app.engines.stt.faster_whisper import FasterWhisper

        return FasterWhisper(
            model,
            device="cuda" if config.num_gpus else "cpu",
            compute_type=config.compute_type,
            threads=config.threads,
            beam_size=config.beam_size,
            share=config.num_gpus or None,
        )
    from serve_app.engines.stt.transformers_whisper import TransformersWhisper

    return TransformersWhisper(
        model, device=config.device, share=config.num_gpus, dtype=config.dtype, max_batch=config.max_batch
    )


@serve.deployment(name="SpeechToText", **DEPLOYMENT_OPTIONS)
class SpeechToText:
    """One model per replica. Utterances that queue up are transcribed in one batch if the engine gains from it."""

    async def __init__(
        self, config: SttConfig, after: DeploymentHandle | None = None, *, memory: SettingsMemory | None = None
    ) -> None:
        self._settings = LiveSettings("SpeechToText", SttSettings, memory=memory)
        self._engine = await load_engine(lambda: fetched(config), lambda model: build_engine(config, model), after)
        self._together.set_max_batch_size(self._engine.max_batch)  # pyright: ignore[reportAttributeAccessIssue]

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        await self._settings.change(user_config)

    def refused_settings(self) -> str | None:
        """Why the latest user_config is not in force; None where it is."""
        return self._settings.refused

    async def transcribe(self, audio: Audio, said_before: str = "") -> Transcript:
        """Transcribe float32 mono [samples] at 16 kHz; `said_before` is what the tutor said last.

        It helps with an answer of a word or two ("Oi!" was heard as "Guys!"); a longer one needs no help, and Whisper
        would rather write what it expects than what was said.
        """
        if duration_s(audio, STT_SAMPLE_RATE) > SHORT_ANSWER_S:
            said_before = ""
        with stage_errors("stt"):
            if self._engine.max_batch == 1:
                watch = stopwatch.start()
                heard = await self._engine.transcribe(audio, **self._options(said_before))
                return replace(heard, compute_s=watch.seconds)
            closed = Event()
            try:
                return await self._together((audio, said_before, closed))
            finally:
                closed.set()

    async def transcribe_as(self, audio: Audio, asked: HearingRequest) -> Transcript:
        """Transcribe as a client asked for it; what differs from the stack's settings is in no batch."""
        if asked == HearingRequest():
            return await self.transcribe(audio)
        options = self._options(asked.prompt or "")
        if asked.language is not None:
            options |= {"language": asked.language, "others": ()}
        with stage_errors("stt"):
            watch = stopwatch.start()
            heard = await self._engine.transcribe(audio, **options)
            return replace(heard, compute_s=watch.seconds)

    async def pronounced(self, audio: Audio, sentence: str) -> list[WordScore]:
        """How well each word of `sentence` was said, in the stack's language; [] if nobody spoke."""
        with stage_errors("stt"):
            return await self._engine.pronounced(audio, sentence, language=self._settings.now.language)

    @serve.batch(batch_wait_timeout_s=0)  # no batching delay: a batch is whatever queued during the previous one
    async def _together(self, utterances: list[tuple[Audio, str, Event]]) -> list[Transcript]:
        watch = stopwatch.start()
        audios, said_before, closed = zip(*utterances, strict=True)
        options = self._options(said_before[0] if len(audios) == 1 else "")  # the engine takes one prompt for all
        heard = await self._engine.transcribe_batch(audios, closed=closed, **options)
        return [replace(one, compute_s=watch.seconds) for one in heard]  # each waited for the whole batch

    def _options(self, said_before: str) -> dict[str, Any]:
        chosen = self._settings.now
        prompt = " ".join(part for part in (chosen.prompt, said_before) if part) or None
        return {
            "language": chosen.language,
            "prompt": prompt,
            "others": chosen.others,
            "learner_errors": chosen.learner_errors,
        }

    async def work(self) -> int:
        """The engine's work since its start; see `work_done` of the engine."""
        return await self._engine.work_done()

    async def ready(self) -> bool:
        """Always True: a replica answers only once its weights are loaded."""
        return True
