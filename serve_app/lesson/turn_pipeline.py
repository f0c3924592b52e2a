"""The stages of one turn at work: transcript, level, plan, reply, and speech while the reply is being written.

    audio -> transcript -> level -> plan -> reply ─┬─> deltas ──────────────> response
                                                   └─> pieces -> speech -> audio ...

The beginning of the reply is planned by rules and sent at once; the LLM writes on from there, unless all of it is
planned. The reply is cut into pieces, and the first is spoken while the rest is being written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any

from serve_app.audio import duration_s
from serve_app.config.limits import Limits
from serve_app.config.user_config import CorrectionStyle
from serve_app.errors import StageFailed
from serve_app.lesson.conversation import Conversation
from serve_app.lesson.events import Corrected, Delta, Event, Level, Placed, Response, Spoken, Status
from serve_app.lesson.hearing import hear
from serve_app.lesson.recalling import Recalling
from serve_app.lesson.speech_cutter import Pace, PieceCutter
from serve_app.lesson.speech_sender import SpeechSender
from serve_app.lesson.stage_protocols import Stages, Utterance
from serve_app.lesson.staging import Speaker, news_of, progress_of, scene_now, staged
from serve_app.lesson.turn_record import StageCall, TurnRecorder
from serve_app.lesson.tutor_prompt import DEFAULT_LEVEL, TutorRequest
from serve_app.protocols import Usage, Word
from serve_app.scenarios.library import Library
from serve_app.scenarios.progress import Progress
from serve_app.scenarios.scene import Scene
from serve_app.sentences import whole_sentences
from serve_app.teaching.error_rules import Correction, mended
from serve_app.teaching.heard_errors import sure_errors, surely_heard
from serve_app.teaching.level_style import speed_of
from serve_app.teaching.plan import Plan, Said

logger = logging.getLogger("ray.serve")


class TurnPipeline:
    """Calls the stages and holds what they have produced so far; all measurements go to `recorder`."""

    def __init__(
        self,
        stages: Stages,
        limits: Limits,
        pace: Pace,
        utterance: Utterance,
        recorder: TurnRecorder,
        waiting: asyncio.Queue[Event | None],
        planner: Callable[[Said], Plan] | None,
        correction: CorrectionStyle,
        scenarios: Library,
        recalling: Recalling,
    ) -> None:
        self._stages = stages
        self._limits = limits
        self._pace = pace
        self._utterance = utterance
        self._recorder = recorder
        self._waiting = waiting
        self._planner = planner
        self._correction: CorrectionStyle = correction
        self._scenarios = scenarios
        self._recalling = recalling
        self._scene: Scene | None = None
        self._progress: Progress | None = None
        self._mended = ""
        self._error: Correction | None = None
        self.corrected: Corrected | None = None
        self.noted: Callable[[], None] = lambda: None
        """Called when there is more of the turn to keep."""
        self._cutter = PieceCutter(pace)
        self._more_text = asyncio.Event()
        self._speaking = False
        self._spoken_parts = 0
        self.speech = SpeechSender(waiting, utterance.order, recorder)
        self._opening = ""
        self.conversation = Conversation(utterance.session_id)
        self.transcript = ""
        self.words: tuple[Word, ...] = ()
        self.language: str | None = None
        self.level: str | None = None
        self.estimate: Level | None = None
        self.reply = ""
        self.usage: Usage | None = None

    async def answer(self, conversation: Conversation, default_level: str | None) -> None:
        """Pass every stage, from the recording to the last piece of speech.

        `self.conversation` is `conversation` afterwards, without its beginning if that did not fit the LLM.
        """
        self.conversation = conversation
        self._progress = progress_of(conversation, self._utterance)
        await self._hear(conversation)
        errors = await self._correct()
        acted = self._kind_of(self._progress) == "role-play"
        await self._recalling.learn(self.transcript, self.words, errors, acted=acted)
        await self._classify(conversation, default_level)
        self._scene = self._scene_now()
        await self._enter("llm")
        await self._beside(self._write())

    async def say(self, conversation: Conversation, default_level: str | None, unasked: Speaker) -> None:
        """Speak without having been spoken to."""
        self.conversation = conversation
        self.level = self._utterance.level or conversation.level or default_level
        made = unasked(conversation, self._utterance, self.level or DEFAULT_LEVEL)
        self._progress = made.progress
        text = made.text
        if self._utterance.kind == "start":
            goes_on = not conversation.exchanges and self._kind_of(made.progress) == "talk"
            text = await self._recalling.opening(text, self.level or DEFAULT_LEVEL, goes_on=goes_on)
        self._recorder.reached("tts")
        for event in made.events:
            await self._waiting.put(event)
        await self._beside(self._say(text))

    async def _beside(self, writing: Coroutine[Any, Any, None]) -> None:
        """Speak while the reply is being written, unless the client wants it in writing alone."""
        async with asyncio.TaskGroup() as group:
            group.create_task(writing)
            if not self._utterance.silent:
                group.create_task(self._speak())

    def _kind_of(self, progress: Progress | None) -> str | None:
        """The kind of the scenario that the conversation is in."""
        scenario = self._scenarios.find(progress.scenario) if progress else None
        return scenario.kind if scenario else None

    @property
    def progress(self) -> Progress | None:
        """How far the conversation has got in its scenario, with this turn as far as it went."""
        return self._scene.after(self.reply) if self._scene else self._progress

    @property
    def begun(self) -> bool:
        """Whether there is something to keep."""
        return bool(self.transcript or (self._utterance.kind != "turn" and self.reply))

    async def _hear(self, conversation: Conversation) -> None:
        if not self._utterance.text:
            await self._enter("stt")
        heard = await hear(self._stages.stt, self._utterance, self._recorder, conversation.last_reply)
        said = heard.transcript
        self.transcript, self.words, self.language = said.text, said.words, said.language
        self.noted()
        await self._waiting.put(heard)

    async def _correct(self) -> list[Correction]:
        """Find the errors (a millisecond of work), and send the one that is surest."""
        self._mended = self.transcript
        if self._correction == "none":
            return []
        errors = sure_errors(self.transcript, self.words)
        self._mended = mended(self.transcript, errors)
        if errors:
            surest = max(errors, key=lambda error: error.confidence)
            self._error = surest
            self.corrected = Corrected(surest)
            await self._waiting.put(self.corrected)
        return errors

    async def _classify(self, conversation: Conversation, default_level: str | None) -> None:
        fixed = self._utterance.level
        self.level = fixed or conversation.level or default_level
        if self._stages.cefr is None:
            return
        self._recorder.reached("cefr")
        with self._recorder.calling("cefr") as call:
            estimate = await self._stages.cefr.classify(self.transcript, conversation.utterances)
            call.received(estimate.compute_s)
        if not fixed and estimate.level:
            self.level = estimate.level
        self.estimate = Level(self.level, estimate, call.milliseconds, fixed=fixed is not None)
        await self._waiting.put(self.estimate)

    async def _write(self) -> None:
        """Send the beginning of the reply that is planned, and let the LLM write what is left."""
        plan = self._plan(self.conversation)
        with self._recorder.calling("llm") as call:
            if plan is not None and plan.begin:
                self._opening = plan.opening
                for sentence in whole_sentences(plan.begin):
                    await self._add(sentence)
                if plan.begin.endswith((".", "!", "?")):
                    self._cutter.feed(" ")  # it ends a sentence, so the voice need not wait for what follows
            if plan is None or not plan.whole:
                await self._write_on(plan, call)
                if plan is not None and plan.end:
                    await self._add(f" {plan.end}")
        self.reply = self.reply.strip()
        if not self.reply:
            raise StageFailed("The tutor found no answer; please say that again.", code="empty_reply", stage="llm")
        await self._written(call.milliseconds)

    async def _say(self, text: str) -> None:
        for sentence in whole_sentences(text):
            await self._add(sentence)
        await self._written(0)

    async def _written(self, llm_ms: int) -> None:
        """The reply is complete."""
        await self._waiting.put(Response(self.reply, llm_ms))
        if self._scene is not None:
            await self._waiting.put(news_of(self._scene))
            if self._scene.placement is not None:
                await self._waiting.put(Placed(self._scene.placement))
        if (remembered := self._recalling.event()) is not None:
            await self._waiting.put(remembered)
        self._cutter.finish()
        self._more_text.set()
        await self.speech.release()
        self.noted()

    async def _write_on(self, plan: Plan | None, call: StageCall) -> None:
        """Let the LLM write; where the conversation is longer than its context, without the beginning of that."""
        while True:
            try:
                await self._let_write(plan, call)
                return
            except StageFailed as error:
                if error.code != "context_full":
                    raise
                logger.warning("turn %s: %s", self._utterance.turn_id, error.message)
                if not self.conversation.exchanges:
                    message = "That was too long for the tutor; please say it in fewer words."
                    raise StageFailed(message, code="context_full", stage="llm") from None
                self.conversation = self.conversation.trimmed()

    async def _let_write(self, plan: Plan | None, call: StageCall) -> None:
        begin, form = (plan.begin, plan.form) if plan is not None else ("", None)
        history, said = staged(self._scenarios, self._progress, self.conversation.exchanges, self.transcript)
        limit = self._limits.reply_tokens
        asked_in = self._utterance.conversation_id
        request = TutorRequest(said, self.level, history, limit, begin, form, asked_in)
        async with aclosing(self._stages.llm.reply(request)) as reply:
            async for item in reply:
                if isinstance(item, Usage):
                    self.usage = item
                    call.received_usage(item)
                    continue
                call.received()
                await self._add(item.text)

    def _plan(self, conversation: Conversation) -> Plan | None:
        if self._planner is None:
            return None
        replies = tuple(exchange.tutor for exchange in conversation.exchanges if exchange.tutor)
        level = self.level or DEFAULT_LEVEL
        earlier, style = conversation.utterances, self._correction
        role, sure = self._scene.role if self._scene else None, surely_heard(self.transcript, self.words)
        memory = self._recalling.for_plan()
        return self._planner(
            Said(self.transcript, self._mended, level, replies, earlier, self._error, style, role, memory, sure)
        )

    def _scene_now(self) -> Scene | None:
        estimate = self.estimate.estimate if self.estimate else None
        return scene_now(self._scenarios, self._progress, self.transcript, self.level or DEFAULT_LEVEL, estimate)

    async def _add(self, text: str) -> None:
        """More of the reply, for the client and for the voice."""
        self.reply += text
        self._cutter.feed(text)
        self._more_text.set()
        await self._waiting.put(Delta(text))

    async def _speak(self) -> None:
        """Synthesise the pieces of the reply one after the other, each as soon as the cutter returns it."""
        while True:
            self._more_text.clear()
            piece = self._cutter.next_piece(self.speech.slack_s())
            if piece is not None:
                await self._speak_piece(piece)
            elif self._cutter.exhausted:
                break
            else:
                await self._wait_for_text()

    async def _speak_piece(self, piece: str) -> None:
        if not self._speaking:
            self._speaking = True  # also where this piece turns out to have no sound
            await self.speech.send(Status("tts"))
        with self._recorder.calling("tts") as call:
            stream = self._stages.tts.synthesize(
                piece, self._utterance.voice, self._utterance.speed, speed_of(self.level), self.speech.slack_s()
            )
            async with aclosing(stream) as parts:
                async for part in parts:
                    call.received(part.compute_s, duration_s(part.samples, part.sample_rate))
                    await self.speech.send(Spoken(self._spoken_parts, piece, part.samples, part.sample_rate))
                    self._spoken_parts += 1
                    self.noted()
        if piece != self._opening:  # which may be kept speech, and then costs nothing
            self._pace.learn(len(piece), call.seconds, call.audio_s)

    async def _wait_for_text(self) -> None:
        with suppress(TimeoutError):  # waiting longer would leave a gap: cut what there is
            async with asyncio.timeout(self._cutter.wait_s(self.speech.slack_s())):
                await self._more_text.wait()

    async def _enter(self, stage: str) -> None:
        self._recorder.reached(stage)
        await self._waiting.put(Status(stage))
