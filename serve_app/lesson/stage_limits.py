"""No stage is waited for without end: what a stage may take, from `limits` of the stack.

A limit is the longest wait for the stage's next answer: the transcript, the level, the next words, the next piece of
speech. It includes the wait behind other learners, so it is no measure of speed; it ends a turn whose stage hangs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from serve_app.config.limits import Limits
from serve_app.errors import StageFailed
from serve_app.lesson.stage_protocols import (
    CefrStage,
    SpeechToTextStage,
    Stages,
    TextToSpeechStage,
    TutorStage,
)
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.protocols import Audio, LevelEstimate, Speech, TextDelta, Transcript, Usage, WordScore

T = TypeVar("T")


def limited(stages: Stages, limits: Limits) -> Stages:
    """The same stages; a call that gives no answer in time is cancelled and raises StageFailed `stage_timeout`."""
    return Stages(
        _LimitedSpeechToText(stages.stt, limits.stt_s),
        _LimitedCefr(stages.cefr, limits.cefr_s) if stages.cefr is not None else None,
        _LimitedTutor(stages.llm, limits.llm_s),
        _LimitedTextToSpeech(stages.tts, limits.tts_s),
    )


async def answer_within(limit_s: float, answer: Awaitable[T], stage: str) -> T:
    """The stage's answer; cancels the call if it takes longer.

    Raises:
        StageFailed: it took longer.
    """
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            return await answer
    except TimeoutError:
        if not limit.expired():
            raise
        raise _hanging(stage, limit_s) from None


async def items_within(limit_s: float, items: AsyncGenerator[T, None], stage: str) -> AsyncGenerator[T, None]:
    """The stage's items; closes the stream if one of them takes longer. The reader's own time does not count.

    Raises:
        StageFailed: one took longer.
    """
    async with aclosing(items):
        while True:
            try:
                item = await answer_within(limit_s, anext(items), stage)
            except StopAsyncIteration:
                return
            yield item


def _hanging(stage: str, limit_s: float) -> StageFailed:
    return StageFailed(
        f"The {stage} stage gave no answer for {limit_s:g} s; please say that again.",
        code="stage_timeout",
        stage=stage,
        status=504,
        retry_after_s=5,
    )


@dataclass(frozen=True, slots=True)
class _LimitedSpeechToText:
    stage: SpeechToTextStage
    limit_s: float

    async def transcribe(self, audio: Audio, said_before: str) -> Transcript:
        return await answer_within(self.limit_s, self.stage.transcribe(audio, said_before), "stt")

    async def pronounced(self, audio: Audio, sentence: str) -> list[WordScore]:
        return await answer_within(self.limit_s, self.stage.pronounced(audio, sentence), "stt")


@dataclass(frozen=True, slots=True)
class _LimitedCefr:
    stage: CefrStage
    limit_s: float

    async def classify(self, text: str, earlier: Sequence[str]) -> LevelEstimate:
        return await answer_within(self.limit_s, self.stage.classify(text, earlier), "cefr")


@dataclass(frozen=True, slots=True)
class _LimitedTutor:
    stage: TutorStage
    limit_s: float

    def reply(self, request: TutorRequest) -> AsyncGenerator[TextDelta | Usage, None]:
        return items_within(self.limit_s, self.stage.reply(request), "llm")


@dataclass(frozen=True, slots=True)
class _LimitedTextToSpeech:
    stage: TextToSpeechStage
    limit_s: float

    def synthesize(
        self, text: str, voice: str | None, speed: float | None, level_speed: float = 1.0, slack_s: float = 0.0
    ) -> AsyncGenerator[Speech, None]:
        return items_within(self.limit_s, self.stage.synthesize(text, voice, speed, level_speed, slack_s), "tts")
