"""Two ways to get the tutor's replies: from the stages in this process, typed in, or from a running stack, spoken."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np

from serve_app.config.limits import Limits
from serve_app.lesson.events import Complete, Failed
from serve_app.lesson.speech_cutter import Pace
from serve_app.lesson.stage_protocols import Stages, TutorStage, Utterance
from serve_app.lesson.turn import Turn
from serve_app.protocols import Audio, Speech, Transcript, WordScore
from serve_app.store.memory import MemoryStore
from serve_app.teaching.planner import plan

from . import server
from .recordings import spoken
from .tutor_checks import faults
from .tutor_conversations import Conversation, Line


@dataclass(frozen=True, slots=True)
class Reply:
    """One answered utterance. `heard` is what the stack understood; `faults` are the checks that apply."""

    conversation: Conversation
    line: Line
    heard: str
    text: str
    faults: dict[str, bool]

    @property
    def found(self) -> list[str]:
        """The names of the faults that it has."""
        return [name for name, fault in self.faults.items() if fault]


class Tutor(Protocol):
    """Answers the utterances of conversations."""

    async def answer(self, said: str, level: str, session_id: str) -> tuple[str, str]:
        """What was heard, and the reply.

        Raises:
            RuntimeError: the turn failed.
        """
        ...


class Typed:
    """The server's own turn without speech: each utterance is taken as if it was heard as it is written.

    `planned`: "on" as configs/cpu_stack.yaml has it, "begun" as a stack with a larger model, "off" the model alone.
    """

    def __init__(self, llm: TutorStage, planned: Literal["on", "begun", "off"] = "on") -> None:
        self._written = _Written()
        planner = None if planned == "off" else partial(plan, follow_ups=planned == "on")
        style = "none" if planned == "off" else "recast"
        stages = Stages(self._written, None, llm, _Silent())
        self._turn = Turn(stages, MemoryStore(), Limits(), Pace(), planner=planner, correction=style)

    async def answer(self, said: str, level: str, session_id: str) -> tuple[str, str]:
        self._written.text = said
        nothing = np.zeros(1, np.float32)
        utterance = Utterance(nothing, session_id, uuid.uuid4().hex, time.perf_counter(), level)
        async with aclosing(self._turn.events(utterance)) as events:
            async for event in events:
                match event:
                    case Complete(transcript=heard, response=reply):
                        return heard, reply
                    case Failed():
                        raise RuntimeError(f"the turn failed: {event}")
        raise RuntimeError("the turn ended without a reply")


class Served:
    """A running stack. The utterances are spoken by Kokoro in Portuguese, English and Spanish words too."""

    def __init__(self, url: str, voice: str = "pm_alex") -> None:
        self._url = url
        self._voice = voice

    async def record(self, conversations: Sequence[Conversation]) -> None:
        """Speak all utterances before the first turn. They are kept for the next run."""
        await spoken([line.said for one in conversations for line in one.lines], self._voice)

    async def answer(self, said: str, level: str, session_id: str) -> tuple[str, str]:
        [recording] = await spoken([said], self._voice)
        heard = await asyncio.to_thread(server.turn, self._url, recording, session_id, level=level)
        return heard.transcript, heard.response


async def converse(tutor: Tutor, conversation: Conversation) -> list[Reply]:
    """The whole conversation, every reply checked. A turn that fails has the reply ""."""
    session_id = uuid.uuid4().hex
    replies: list[Reply] = []
    for line in conversation.lines:
        try:
            heard, text = await tutor.answer(line.said, conversation.level, session_id)
        except RuntimeError as error:
            heard, text = f"({error})", ""
        earlier = [reply.text for reply in replies]
        replies.append(Reply(conversation, line, heard, text, faults(text, line, conversation.level, earlier)))
    return replies


class _Written:
    """Takes the place of speech recognition."""

    text = ""

    async def transcribe(self, audio: Audio, *_: Any, **__: Any) -> Transcript:
        return Transcript(self.text)

    async def pronounced(self, audio: Audio, sentence: str) -> list[WordScore]:
        return []


class _Silent:
    """Takes the place of the voice."""

    async def synthesize(self, *_: Any, **__: Any) -> AsyncGenerator[Speech, None]:
        for part in ():
            yield part
