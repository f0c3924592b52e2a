"""One turn of a lesson: speech in, events out. The only place that knows the order.

    audio -> transcript -> level -> reply ─┬─> deltas ──────────────> response
                                           └─> pieces -> speech -> audio ...   -> complete

The reply is cut into pieces while it is being written and the first piece is spoken
while the rest is still to come. Everything a turn started ends with it: closing
`events()` cancels the work in every stage.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from serve_app.audio import duration_s
from serve_app.config.stack import Limits
from serve_app.errors import NoSpeech, ParleError, StageFailed, TurnTimeout
from serve_app.lesson.conversation import Conversation, ConversationStore, Exchange
from serve_app.lesson.events import Complete, Delta, Event, Failed, Heard, Level, Response, Spoken, Status
from serve_app.lesson.speech_cutter import Pace, PieceCutter
from serve_app.lesson.stage_protocols import Stages, Utterance
from serve_app.lesson.turn_record import Progress, TurnRecord
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.protocols import STT_SAMPLE_RATE, Usage

logger = logging.getLogger("ray.serve")

WAITING_EVENTS = 64
"""Events made but not yet sent; a client slower than that stops the turn's work until it reads on."""


class Turn:
    """Answers one utterance of a conversation.

    `pace` is shared by the turns of a process: it learns how fast the voice is made.
    `trimmed` is told when the conversation lost its older half, so that the LLM's prompt
    cache can be warmed while the learner listens; `ended` is told what each turn measured.
    """

    def __init__(
        self,
        stages: Stages,
        store: ConversationStore,
        limits: Limits,
        pace: Pace,
        *,
        default_level: str | None = None,
        trimmed: Callable[[Conversation], None] = lambda _: None,
        ended: Callable[[TurnRecord], None] = lambda _: None,
    ) -> None:
        self._stages = stages
        self._store = store
        self._limits = limits
        self._pace = pace
        self._default_level = default_level
        self._trimmed = trimmed
        self._ended = ended

    async def events(self, utterance: Utterance) -> AsyncGenerator[Event, None]:
        """The events of the turn, in the order `utterance.order` asks for.

        Ends with exactly one Complete or Failed. Nothing is raised for a failure of a
        stage. Closing the generator ends all work of the turn.
        """
        waiting: asyncio.Queue[Event | None] = asyncio.Queue(WAITING_EVENTS)
        worker = asyncio.create_task(self._run(utterance, waiting), name=f"turn-{utterance.turn_id}")
        try:
            while (event := await waiting.get()) is not None:
                yield event
        finally:
            worker.cancel()
            await asyncio.wait([worker])

    async def _run(self, utterance: Utterance, waiting: asyncio.Queue[Event | None]) -> None:
        run = _Run(self._stages, self._limits, self._pace, utterance, waiting)
        try:
            await self._work(run, utterance, waiting)
        finally:
            self._ended(run.progress.record(utterance))

    async def _work(self, run: _Run, utterance: Utterance, waiting: asyncio.Queue[Event | None]) -> None:
        """Work through the turn; whatever happens, `waiting` ends with None unless the turn was closed."""
        progress = run.progress
        conversation = Conversation(utterance.session_id)
        try:
            conversation = await self._store.load(utterance.session_id)
            async with asyncio.timeout(self._limits.turn_s):
                await run.answer(conversation, self._default_level)
            await self._remember(conversation, progress, progress.reply)
            progress.remembered = True
            await waiting.put(run.complete())
            progress.outcome = "complete"
        except asyncio.CancelledError:
            # The learner spoke on: what they said and what they heard of the answer still counts.
            if progress.transcript and not progress.remembered:
                await self._remember(conversation, progress, " ".join(progress.spoken))
            raise
        except TimeoutError:
            timeout = TurnTimeout(f"The turn took longer than {self._limits.turn_s:g} s and was stopped.")
            await waiting.put(progress.failed(Failed.of(timeout, progress.stage)))
        except Exception as error:  # noqa: BLE001 - the turn's outermost edge: whatever failed, the client gets one answer
            await waiting.put(progress.failed(_failed(error, utterance.turn_id, progress.stage)))
        await waiting.put(None)

    async def _remember(self, before: Conversation, progress: Progress, reply: str) -> None:
        exchange = Exchange(progress.transcript, reply, progress.level)
        conversation = before.with_exchange(exchange)
        usage = progress.usage
        if usage and usage.prompt_tokens + usage.completion_tokens > self._limits.history_tokens:
            conversation = conversation.trimmed()
            self._trimmed(conversation)
        await self._store.save(conversation)


class _Run:
    """The stages of one turn at work."""

    def __init__(
        self, stages: Stages, limits: Limits, pace: Pace, utterance: Utterance, waiting: asyncio.Queue[Event | None]
    ) -> None:
        self._stages = stages
        self._limits = limits
        self._pace = pace
        self._utterance = utterance
        self._waiting = waiting
        self._cutter = PieceCutter(pace)
        self._more_text = asyncio.Event()
        self._sending = asyncio.Lock()
        self.progress = Progress()

    async def answer(self, conversation: Conversation, default_level: str | None) -> None:
        await self._hear()
        await self._rate(conversation, default_level)
        await self._enter("llm")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write(conversation))
            group.create_task(self._speak())

    def complete(self) -> Complete:
        timing = self.progress.timing
        timing["total_ms"] = self._since(self._utterance.received_at)
        return Complete(self.progress.transcript, self.progress.reply, timing)

    async def _hear(self) -> None:
        await self._enter("stt")
        audio = self._utterance.audio
        with self.progress.calling("stt", duration_s(audio, STT_SAMPLE_RATE)) as call:
            transcript = await self._stages.stt.transcribe(audio)
            call.came(transcript.compute_s)
        self.progress.timing["stt_ms"] = call.milliseconds
        if transcript.no_speech:
            raise NoSpeech("No speech was heard in the recording; speak closer to the microphone and try again.")
        self.progress.transcript = transcript.text
        await self._waiting.put(Heard(transcript, self.progress.timing["stt_ms"], self._utterance.session_id))

    async def _rate(self, conversation: Conversation, default_level: str | None) -> None:
        fixed = self._utterance.level
        self.progress.level = fixed or conversation.level or default_level
        if self._stages.cefr is None:
            return
        self.progress.stage = "cefr"
        with self.progress.calling("cefr") as call:
            estimate = await self._stages.cefr.classify(self.progress.transcript, conversation.utterances)
            call.came(estimate.compute_s)
        self.progress.timing["cefr_ms"] = call.milliseconds
        if not fixed and estimate.level:
            self.progress.level = estimate.level
        level = Level(self.progress.level, estimate, self.progress.timing["cefr_ms"], fixed=fixed is not None)
        await self._waiting.put(level)

    async def _write(self, conversation: Conversation) -> None:
        """Have the reply written; every delta goes to the client and to the cutter."""
        progress = self.progress
        request = TutorRequest(progress.transcript, progress.level, conversation.exchanges, self._limits.reply_tokens)
        with progress.calling("llm") as call:
            async with aclosing(self._stages.llm.reply(request)) as reply:
                async for item in reply:
                    if isinstance(item, Usage):
                        progress.usage = item
                        call.used(item)
                        continue
                    call.came()
                    progress.reply += item.text
                    self._cutter.feed(item.text)
                    self._more_text.set()
                    await self._waiting.put(Delta(item.text))
        progress.reply = progress.reply.strip()
        if not progress.reply:
            raise StageFailed("The tutor found no answer; please say that again.", code="empty_reply", stage="llm")
        progress.timing["llm_ms"] = call.milliseconds
        await self._waiting.put(Response(progress.reply, progress.timing["llm_ms"]))
        progress.llm_done = True
        self._cutter.finish()
        self._more_text.set()
        await self._send_speech()

    async def _speak(self) -> None:
        """Have each piece spoken as soon as it is worth it, one after the other."""
        while True:
            self._more_text.clear()
            piece = self._cutter.next_piece(self._slack_s())
            if piece is not None:
                await self._speak_piece(piece)
            elif self._cutter.exhausted:
                break
            else:
                await self._wait_for_text()

    async def _speak_piece(self, piece: str) -> None:
        progress = self.progress
        if progress.pieces == 0:
            await self._send_speech(Status("tts"))
        with progress.calling("tts") as call:
            stream = self._stages.tts.synthesize(piece, self._utterance.voice, self._utterance.speed)
            async with aclosing(stream) as parts:
                async for part in parts:
                    call.came(part.compute_s)
                    call.audio_s += duration_s(part.samples, part.sample_rate)
                    await self._send_speech(Spoken(progress.pieces, piece, part.samples, part.sample_rate))
                    progress.pieces += 1
        progress.timing["tts_ms"] += call.milliseconds
        self._pace.learn(len(piece), call.seconds, call.audio_s)

    async def _wait_for_text(self) -> None:
        patience = self._cutter.wait_s(self._slack_s())
        try:
            async with asyncio.timeout(patience):
                await self._more_text.wait()
        except TimeoutError:
            pass  # waiting longer would leave a gap: cut what there is

    def _slack_s(self) -> float:
        """For how long the listener still has something to hear."""
        if self._holding():
            return float("inf")
        return max(0.0, self.progress.playing_until - time.perf_counter())

    def _holding(self) -> bool:
        """In documented order, speech waits until the response has gone out."""
        return self._utterance.order == "documented" and not self.progress.llm_done

    async def _send_speech(self, *events: Status | Spoken) -> None:
        """Send what may go out now, in order; keep the rest."""
        async with self._sending:
            self.progress.held += events
            while self.progress.held and not self._holding():
                await self._put_speech(self.progress.held.pop(0))

    async def _put_speech(self, event: Status | Spoken) -> None:
        progress = self.progress
        await self._waiting.put(event)
        if isinstance(event, Status):
            progress.stage = event.stage
            return
        if not progress.spoken:
            progress.timing["first_audio_ms"] = self._since(self._utterance.received_at)
        if event.text not in progress.spoken[-1:]:
            progress.spoken.append(event.text)
        playing = max(time.perf_counter(), progress.playing_until)
        progress.playing_until = playing + duration_s(event.samples, event.sample_rate)

    async def _enter(self, stage: str) -> None:
        self.progress.stage = stage
        await self._waiting.put(Status(stage))

    @staticmethod
    def _since(start: float) -> int:
        return round(1000 * (time.perf_counter() - start))


def _failed(error: Exception, turn_id: str, stage: str) -> Failed:
    """The event for a failure. Of stages that ran side by side the first to fail tells why."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ParleError):
        return Failed.of(error, stage)
    logger.error("turn %s failed in %s", turn_id, stage, exc_info=error)
    return Failed("internal", "The server failed in the middle of the turn; please say that again.", stage)
