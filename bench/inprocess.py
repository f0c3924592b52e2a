"""The same engines without Ray: a turn chained in one process, and the plain way, one model after the other."""

from __future__ import annotations

import time
import uuid
from contextlib import aclosing
from typing import Any

from serve_app import audio
from serve_app.cefr import CefrClassifier
from serve_app.config.stack import LexicalCefrConfig, Limits, StackArgs
from serve_app.lesson.conversation import Exchange, MemoryStore
from serve_app.lesson.events import Complete, Delta, Failed, Spoken, Status
from serve_app.lesson.speech_cutter import Pace
from serve_app.lesson.stage_protocols import Stages, Utterance
from serve_app.lesson.turn import Turn
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.llm import TutorLLM
from serve_app.protocols import TextDelta
from serve_app.sentences import speakable
from serve_app.stt import SpeechToText
from serve_app.teaching.planner import plan
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
    """The turn as the server chains it, on stages in this process."""

    def __init__(self, stages: Stages) -> None:
        self._turn = Turn(stages, MemoryStore(), Limits(), Pace(), planner=plan)

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


class OneAfterTheOther:
    """Whole transcript, whole reply, whole speech."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._history: tuple[Exchange, ...] = ()

    async def turn(self, recording: bytes) -> float:
        """Seconds until the answer can be heard: when all of it is spoken."""
        started = time.perf_counter()
        samples = audio.decode(recording, max_seconds=60)
        transcript = await self._stages.stt.transcribe(samples, "")
        assert self._stages.cefr is not None
        earlier = [exchange.learner for exchange in self._history]
        estimate = await self._stages.cefr.classify(transcript.text, earlier)
        level = estimate.level or (self._history[-1].level if self._history else None)
        request = TutorRequest(transcript.text, level, self._history, Limits().reply_tokens)
        reply = "".join(
            [item.text async for item in self._stages.llm.reply(request) if isinstance(item, TextDelta)]
        ).strip()
        async for _ in self._stages.tts.synthesize(speakable(reply), None, None):
            pass
        self._history += (Exchange(transcript.text, reply, level),)
        return time.perf_counter() - started
