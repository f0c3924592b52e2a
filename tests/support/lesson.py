"""Turns over stages without models: one learner's lesson, and the record of one turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import numpy as np

from serve_app.config.limits import Limits
from serve_app.config.stack import Order
from serve_app.config.user_config import CorrectionStyle
from serve_app.lesson.conversation import Conversation
from serve_app.lesson.events import Event
from serve_app.lesson.kept import ConversationStore
from serve_app.lesson.speech_cutter import Pace
from serve_app.lesson.stage_protocols import Utterance
from serve_app.lesson.turn import Turn
from serve_app.lesson.turn_record import TurnRecord
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.protocols import Audio, Speech, TextDelta, Transcript, Usage
from serve_app.store.memory import MemoryStore
from serve_app.teaching.plan import Plan, Said
from support.stages import Ears, House, Voice, Writer

SILENCE = np.zeros(16_000, np.float32)


class Lesson:
    """Turns of one learner over one set of stages."""

    def __init__(
        self,
        house: House,
        *,
        cefr: bool = True,
        default_level: str | None = None,
        planner: Callable[[Said], Plan] | None = None,
        correction: CorrectionStyle = "none",
        store: MemoryStore | None = None,
        **limits: Any,
    ) -> None:
        self.house = house
        self.store = store or MemoryStore()
        self.trimmed: list[Conversation] = []
        self.turn = Turn(
            house.stages(cefr=cefr),
            self.store,
            Limits(**limits),
            Pace(),
            default_level=default_level,
            planner=planner,
            correction=correction,
            trimmed=self.trimmed.append,
        )

    async def take(self, order: Order = "eager", **choice: Any) -> list[Event]:
        utterance = Utterance(SILENCE, "aula", "t", time.perf_counter(), order=order, **choice)
        return [event async for event in self.turn.events(utterance)]

    async def conversation(self) -> Conversation:
        return await conversation_in(self.store, "aula")


async def conversation_in(store: ConversationStore, conversation_id: str) -> Conversation:
    """As the next turn of it would find it."""
    async with store.turn(conversation_id) as turn:
        return turn.conversation


TWO_SECONDS = np.zeros(32_000, np.float32)


class BusyEars(Ears):
    """Waits 0.1 s for its turn and works 0.05 s."""

    async def transcribe(self, audio: Audio, said_before: str = "") -> Transcript:
        await asyncio.sleep(0.15)
        return replace(await super().transcribe(audio), compute_s=0.05)


class BusyWriter(Writer):
    """Reads the prompt for 0.05 s after a wait of 0.1 s, then writes for 0.03 s."""

    async def reply(self, request: TutorRequest) -> AsyncGenerator[TextDelta | Usage, None]:
        await asyncio.sleep(0.15)
        async for item in super().reply(request):
            yield replace(item, prefill_s=0.05, decode_s=0.03) if isinstance(item, Usage) else item


class BusyVoice(Voice):
    """Works 0.02 s on each part of 0.1 s, the first after a wait of 0.1 s."""

    async def synthesize(
        self, text: str, voice: str | None, speed: float | None, level_speed: float = 1.0, slack_s: float = 0.0
    ) -> AsyncGenerator[Speech, None]:
        await asyncio.sleep(0.12)
        worked = 0.0
        async for part in super().synthesize(text, voice, speed, level_speed, slack_s):
            worked += 0.02
            yield replace(part, compute_s=worked)


def busy_house() -> House:
    house = House()
    house.stt = BusyEars(house.stt.work)
    house.llm = BusyWriter(house.llm.work)
    house.tts = BusyVoice(house.tts.work, parts=2)
    return house


async def recorded(
    house: House, *, until: type[Event] | None = None, order: Order = "eager", **limits: Any
) -> TurnRecord:
    """The record of one turn; with `until` its client leaves at the first event of that kind."""
    records: list[TurnRecord] = []
    turn = Turn(house.stages(), MemoryStore(), Limits(**limits), Pace(), ended=records.append)
    utterance = Utterance(TWO_SECONDS, "aula", "t-1", time.perf_counter(), order=order, route="sse")
    async with aclosing(turn.events(utterance)) as events:
        async for event in events:
            if until is not None and isinstance(event, until):
                break
    [record] = records
    return record
