"""The same engines without Ray: a turn chained in one process."""

from __future__ import annotations

import time
import uuid
from contextlib import aclosing
from typing import Any

from serve_app import audio
from serve_app.cefr import CefrClassifier
from serve_app.config.limits import Limits
from serve_app.config.stack import LexicalCefrConfig, StackArgs
from serve_app.lesson.events import Complete, Delta, Failed, Spoken, Status
from serve_app.lesson.speech_cutter import Pace
from serve_app.lesson.stage_protocols import Stages, Utterance
from serve_app.lesson.turn import Turn
from serve_app.llm import TutorLLM
from serve_app.store.memory import MemoryStore
from serve_app.stt import SpeechToText
from serve_app.tts import TextToSpeech

from .server import Heard

ARGS = StackArgs(cefr=LexicalCefrConfig(engine="lexical"))
TTS_SETTINGS = {"voice": "pf_dora", "openings_ahead": False}


async def stage(deployment: Any, config: Any, user_config: dict[str, Any]) -> Any:
    """A stage's own class, constructed here instead of in a replica."""
    cls = deployment.func_or_class
    built = cls.__new__(cls)
    await cls.__init__(built, config)
    configured = built.reconfigure(user_config)
    if configured is not None:
        await configured
    return built


async def tutor(llm_settings: dict[str, Any], **changes: Any) -> Any:
    return await stage(TutorLLM, ARGS.llm.model_copy(update=changes), llm_settings)


async def stages(llm_settings: dict[str, Any], **llm_changes: Any) -> Stages:
    """The four stages of the CPU stack, in this process."""
    return Stages(
        await stage(SpeechToText, ARGS.stt, {}),
        await stage(CefrClassifier, ARGS.cefr, {}),
        await tutor(llm_settings, **llm_changes),
        await stage(TextToSpeech, ARGS.tts, TTS_SETTINGS),
    )


class Chained:
    """The turn as the server chains it, on stages in this process; the LLM writes the whole reply."""

    def __init__(self, stages: Stages) -> None:
        self._turn = Turn(stages, MemoryStore(), Limits(), Pace())

    async def turn(self, recording: bytes) -> Heard:
        heard = Heard()
        started = time.perf_counter()
        samples = audio.decode(recording, max_seconds=60)
        utterance = Utterance(samples, "bench", uuid.uuid4().hex, started)
        llm_started = 0.0
        async with aclosing(self._turn.events(utterance)) as events:
            async for event in events:
                now = time.perf_counter() - started
                match event:
                    case Status(stage="llm"):
                        llm_started = now
                    case Delta() if not heard.llm_first_token_s:
                        heard.llm_first_token_s = now - llm_started
                    case Spoken(samples=samples, sample_rate=rate):
                        heard.first_audio_s = heard.first_audio_s or now
                        heard.pieces.append((now, audio.duration_s(samples, rate)))
                    case Complete(transcript=transcript, response=response, timing=timing):
                        heard.transcript, heard.response, heard.timing = transcript, response, timing
                        heard.total_s = now
                    case Failed():
                        raise RuntimeError(f"the turn failed: {event}")
        return heard
