"""One turn of a lesson: speech in, events out.

`Turn` runs one turn: its events, its end, and the conversation's update. `TurnPipeline` calls the stages in their order
and holds the working state (transcript, level, reply so far), `SpeechSender` that of the audio. All measurements go to
`TurnRecorder`. Closing `events()` cancels the work in every stage.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from serve_app.config.limits import Limits
from serve_app.config.user_config import CorrectionStyle
from serve_app.errors import ParleError, StoreUnavailable, TurnTimeout
from serve_app.lesson.conversation import Conversation, Exchange
from serve_app.lesson.events import Complete, Event, Failed
from serve_app.lesson.kept import ConversationStore, KeptTurn
from serve_app.lesson.recalling import Recalling
from serve_app.lesson.speech_cutter import Pace
from serve_app.lesson.stage_limits import limited
from serve_app.lesson.stage_protocols import Stages, Utterance
from serve_app.lesson.staging import Speaker, opened
from serve_app.lesson.summary import summed_up
from serve_app.lesson.turn_notes import TurnNotes
from serve_app.lesson.turn_pipeline import TurnPipeline
from serve_app.lesson.turn_record import TurnRecord, TurnRecorder
from serve_app.scenarios.library import Library, shipped
from serve_app.teaching.plan import Plan, Said

logger = logging.getLogger("ray.serve")

WAITING_EVENTS = 64
"""Longest queue of events that the route has not sent; when it is full the turn's work waits. Under Ray Serve sending
never waits: its own queue has no bound."""


class Turn:
    """Answers one utterance of a conversation.

    `store` lets a second turn of a conversation wait for the first to end. `pace` is shared by the turns of a process:
    how fast the voice is synthesised. `planner` decides how the reply begins; without it the LLM writes all of it.
    `correction` is the style for learners who choose none.
    `trimmed` is called when the conversation lost its older half, so that the LLM's prompt cache can be warmed while
    the learner listens; `ended` is called with the measurements of each turn.
    """

    def __init__(
        self,
        stages: Stages,
        store: ConversationStore,
        limits: Limits,
        pace: Pace,
        *,
        default_level: str | None = None,
        planner: Callable[[Said], Plan] | None = None,
        correction: CorrectionStyle = "none",
        scenarios: Library | None = None,
        trimmed: Callable[[Conversation], None] = lambda _: None,
        ended: Callable[[TurnRecord], None] = lambda _: None,
    ) -> None:
        self._stages = limited(stages, limits)
        self._store = store
        self._limits = limits
        self._pace = pace
        self._default_level = default_level
        self._planner = planner
        self._correction: CorrectionStyle = correction
        self._scenarios = scenarios or shipped()
        self._trimmed = trimmed
        self._ended = ended
        self._cut_for: ParleError | None = None
        self._until_cut: asyncio.Timeout | None = None

    async def events(self, utterance: Utterance) -> AsyncGenerator[Event, None]:
        """The events of the turn, in the order `utterance.order` asks for.

        Ends with exactly one Complete or Failed; a failing stage raises nothing here. Closing the generator ends
        all work of the turn.
        """
        waiting: asyncio.Queue[Event | None] = asyncio.Queue(WAITING_EVENTS)
        worker = asyncio.create_task(self._run(utterance, waiting), name=f"turn-{utterance.turn_id}")
        try:
            while (event := await waiting.get()) is not None:
                yield event
        finally:
            worker.cancel()
            await asyncio.wait([worker])

    def cut(self, why: ParleError) -> None:
        """End the turn now, with this error as its last event; does nothing where it has ended."""
        if self._cut_for is None:
            self._cut_for = why
            if self._until_cut is not None:
                self._until_cut.reschedule(asyncio.get_running_loop().time())

    async def _run(self, utterance: Utterance, waiting: asyncio.Queue[Event | None]) -> None:
        recorder = TurnRecorder(utterance)
        style = utterance.correction or self._correction
        learner = utterance.learner
        recollection = self._store.learners.begin(learner) if learner else None
        pipeline = TurnPipeline(
            self._stages,
            self._limits,
            self._pace,
            utterance,
            recorder,
            waiting,
            self._planner,
            style,
            self._scenarios,
            Recalling(recollection),
        )
        notes = TurnNotes(utterance, pipeline, recorder)
        pipeline.noted = notes.so_far
        try:
            await self._finish(pipeline, notes, utterance, recorder, waiting)
        finally:
            if recollection is not None:
                self._store.learners.end(recollection, pipeline.level)
            self._ended(recorder.record())

    async def _finish(
        self,
        pipeline: TurnPipeline,
        notes: TurnNotes,
        utterance: Utterance,
        recorder: TurnRecorder,
        waiting: asyncio.Queue[Event | None],
    ) -> None:
        """Run the turn to its end; unless it was closed, `waiting` then ends with Complete or Failed, and None."""
        try:
            async with self._cuttable(), self._store.turn(utterance.conversation_id) as kept:
                notes.kept = kept
                await self._answer(pipeline, notes, utterance, kept.conversation.hearing(utterance.heard_reply))
            await waiting.put(Complete(pipeline.transcript, pipeline.reply, recorder.timing(), pipeline.usage))
            recorder.completed()
        except Exception as error:  # noqa: BLE001 - the turn's outermost edge: whatever failed, the client gets one answer
            if isinstance(error, TimeoutError):
                error = self._cut_for or TurnTimeout(
                    f"The turn took longer than {self._limits.turn_s:g} s and was stopped."
                )
            failure = _failed(error, utterance.turn_id, recorder.stage)
            recorder.failed(failure)
            notes.failed(failure.code)
            await waiting.put(failure)
        await waiting.put(None)

    @asynccontextmanager
    async def _cuttable(self) -> AsyncGenerator[None, None]:
        """What runs in the block raises TimeoutError once the turn is cut."""
        async with asyncio.timeout(None if self._cut_for is None else 0) as self._until_cut:
            try:
                yield
            finally:
                self._until_cut = None

    async def _answer(
        self, pipeline: TurnPipeline, notes: TurnNotes, utterance: Utterance, conversation: Conversation
    ) -> None:
        """From the conversation so far to the conversation with this exchange in it."""
        try:
            async with asyncio.timeout(self._limits.turn_s):
                if utterance.kind == "turn":
                    await pipeline.answer(conversation, self._default_level)
                else:
                    await pipeline.say(conversation, self._default_level, await self._unasked(utterance, conversation))
        except asyncio.CancelledError:
            # The learner interrupted: what they said, and what they heard of the answer, stays in the conversation.
            if pipeline.begun:
                heard = pipeline.speech.heard_text()
                notes.interrupted(heard, self._after(pipeline, heard))
            raise
        notes.complete(self._after(pipeline, pipeline.reply))

    async def _unasked(self, utterance: Utterance, conversation: Conversation) -> Speaker:
        """What makes the tutor's words where nobody spoke to her."""
        if utterance.kind == "start":
            return partial(opened, self._scenarios)
        return partial(summed_up, self._scenarios, await self._turns_of(utterance, conversation))

    async def _turns_of(self, utterance: Utterance, conversation: Conversation) -> tuple[KeptTurn, ...]:
        """All turns that are kept of it; where the store is away, those of the prompt."""
        try:
            kept = await self._store.read(utterance.conversation_id)
        except StoreUnavailable:
            logger.warning("turn %s: summed up from the prompt, as the store cannot be reached", utterance.turn_id)
            now, scene = time.time(), conversation.scenario.data() if conversation.scenario else None
            return tuple(
                KeptTurn(utterance.turn_id, now, said.learner, reply=said.tutor, state="complete", scenario=scene)
                for said in conversation.exchanges
            )
        return kept.turns if kept else ()

    def _after(self, pipeline: TurnPipeline, reply: str) -> Conversation:
        """The conversation with this exchange in it."""
        usage = pipeline.usage
        counted = usage.prompt_tokens + usage.completion_tokens if usage else None
        before = pipeline.conversation
        conversation = before.with_exchange(Exchange(pipeline.transcript, reply, pipeline.level), counted)
        conversation = replace(conversation, scenario=pipeline.progress)
        if conversation.tokens > self._limits.history_tokens:
            conversation = conversation.trimmed()
            self._trimmed(conversation)
        return conversation


def _failed(error: Exception, turn_id: str, stage: str) -> Failed:
    """The event for a failure. When stages that run side by side fail together, the first one is named."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ParleError):
        return Failed.of(error, stage)
    logger.error("turn %s failed in %s", turn_id, stage, exc_info=error)
    return Failed("internal", "The server failed in the middle of the turn; please say that again.", stage)
