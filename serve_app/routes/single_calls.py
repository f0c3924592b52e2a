"""One stage at a time, without a conversation: what is asked of it is limited and measured as in a turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import TypeVar

from serve_app.audio import duration_s, silence
from serve_app.config.limits import Limits
from serve_app.errors import NoSpeech, ParleError, TurnTimeout
from serve_app.lesson.events import Failed
from serve_app.lesson.speech_cutter import Pace, PieceCutter
from serve_app.lesson.stage_limits import answer_within, items_within
from serve_app.lesson.stage_protocols import ChatRequest, HearingRequest, StageQueries, Stages, Utterance
from serve_app.lesson.turn_record import StageCall, TurnRecord, TurnRecorder
from serve_app.protocols import STT_SAMPLE_RATE, Audio, Speech, TextDelta, Transcript, Usage, WordScore
from serve_app.routes.graceful_stop import Cuttable

T = TypeVar("T")

SPOKEN_CHARACTER_S = 0.1
"""A slow voice: who plays the speech while it comes is not too slow a reader."""


class SingleCalls:
    """Calls of single stages for the routes of one ingress replica.

    Each is recorded as a turn that has one stage; `ended` gets the record. While it runs it is one of `running`.
    """

    def __init__(
        self,
        stages: Stages,
        queries: StageQueries,
        limits: Callable[[], Limits],
        ended: Callable[[TurnRecord], None],
        running: set[Cuttable],
    ) -> None:
        self._stages = stages
        self._queries = queries
        self._limits = limits
        self._ended = ended
        self._running = running
        self._pace = Pace()

    async def transcribe(self, audio: Audio, asked: HearingRequest, call_id: str) -> Transcript:
        """What is said in a recording; nobody speaking is no error here."""
        with self._measured("stt", call_id, duration_s(audio, STT_SAMPLE_RATE)) as one:
            heard = await one.answer(self._limits().stt_s, self._queries.transcribe(audio, asked))
            one.call.received(heard.compute_s)
            return heard

    async def pronounced(self, audio: Audio, sentence: str, call_id: str) -> list[WordScore]:
        """How each word of a sentence was said.

        Raises:
            NoSpeech: nobody speaks.
        """
        audio_s = duration_s(audio, STT_SAMPLE_RATE)
        with self._measured("stt", call_id, audio_s, route="pronunciation") as one:
            scores = await one.answer(self._limits().stt_s, self._stages.stt.pronounced(audio, sentence))
            one.call.received()
            if not scores:
                raise NoSpeech("I heard nobody; please say the sentence again.")
            return scores

    async def chat(self, request: ChatRequest, call_id: str) -> AsyncGenerator[TextDelta | Usage, None]:
        """The answer to chat messages: deltas, then one Usage.

        Raises:
            TurnTimeout: it took longer than `limits.turn_s`.
        """
        with self._measured("llm", call_id, within_s=self._limits().turn_s) as one:
            async with aclosing(one.items(self._limits().llm_s, self._queries.chat(request))) as items:
                async for item in items:
                    if isinstance(item, Usage):
                        one.call.received_usage(item)
                    else:
                        one.call.received()
                    yield item

    async def speak(
        self, text: str, voice: str | None, speed: float | None, call_id: str
    ) -> AsyncGenerator[Speech, None]:
        """A text spoken piece by piece, the first one short, so that it is there soon; None as in a turn.

        Raises:
            TurnTimeout: it took longer than `limits.turn_s` and what it takes to be heard.
        """
        cutter = PieceCutter(self._pace)
        cutter.feed(text)
        cutter.finish()
        playing_until = 0.0
        aloud_s = SPOKEN_CHARACTER_S * len(text) / (speed or 1)
        with self._measured("tts", call_id, within_s=self._limits().turn_s + aloud_s) as one:
            call = one.call
            while (piece := cutter.next_piece(slack_s := max(0.0, playing_until - time.perf_counter()))) is not None:
                began, audio_s, before_s = time.perf_counter(), 0.0, call.compute_s
                speech = self._stages.tts.synthesize(piece, voice, speed, slack_s=slack_s)
                async with aclosing(one.items(self._limits().tts_s, speech)) as parts:
                    async for part in parts:
                        seconds = duration_s(part.samples, part.sample_rate)
                        audio_s += seconds
                        call.received(before_s + part.compute_s, seconds)
                        one.recorder.audio_sent()
                        playing_until = max(time.perf_counter(), playing_until) + seconds
                        yield part
                self._pace.learn(len(piece), time.perf_counter() - began, audio_s)

    @contextmanager
    def _measured(
        self,
        stage: str,
        call_id: str,
        audio_s: float = 0.0,
        route: str = "openai",
        within_s: float | None = None,
    ) -> Iterator[_SingleCall]:
        """Records what the block does as a turn, which may take `within_s` altogether."""
        unheard = Utterance(silence(0, STT_SAMPLE_RATE), "", call_id, time.perf_counter(), route=route)
        recorder = TurnRecorder(unheard)
        recorder.reached(stage)
        try:
            with recorder.calling(stage, audio_s) as call:
                one = _SingleCall(stage, recorder, call, within_s)
                with self._cuttable(one):
                    yield one
            recorder.completed()
        except Exception as error:
            known = error if isinstance(error, ParleError) else ParleError("The server failed.")
            recorder.failed(Failed.of(known, stage))
            raise
        finally:
            self._ended(recorder.record())

    @contextmanager
    def _cuttable(self, one: _SingleCall) -> Iterator[None]:
        self._running.add(one)
        try:
            yield
        finally:
            self._running.discard(one)


class _SingleCall:
    """One call of one stage: how long it may take, and what is measured of it."""

    def __init__(self, stage: str, recorder: TurnRecorder, call: StageCall, within_s: float | None) -> None:
        self.recorder = recorder
        self.call = call
        self._stage = stage
        self._cut_for: ParleError | None = None
        self._until_cut: asyncio.Timeout | None = None
        self._within_s = within_s
        self._until = None if within_s is None else asyncio.get_running_loop().time() + within_s

    def cut(self, why: ParleError) -> None:
        """Let it fail with this error now."""
        self._cut_for = why
        if self._until_cut is not None:
            self._until_cut.reschedule(asyncio.get_running_loop().time())

    async def answer(self, limit_s: float, answer: Awaitable[T]) -> T:
        """The stage's answer; see answer_within.

        Raises:
            ParleError: also what `cut` was given.
            TurnTimeout: all that was asked took too long.
        """
        return await self._unless_cut(answer_within(limit_s, answer, self._stage))

    async def items(self, limit_s: float, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
        """The stage's items; see items_within.

        Raises:
            ParleError: also what `cut` was given.
            TurnTimeout: all that was asked took too long.
        """
        async with aclosing(items_within(limit_s, items, self._stage)) as items:
            while True:
                try:
                    item = await self._unless_cut(anext(items))
                except StopAsyncIteration:
                    return
                yield item

    async def _unless_cut(self, answer: Awaitable[T]) -> T:
        limit = asyncio.timeout_at(self._until if self._cut_for is None else 0)
        try:
            async with limit as self._until_cut:
                return await answer
        except TimeoutError:
            if self._cut_for is not None:
                raise self._cut_for from None
            if not limit.expired():
                raise
            raise TurnTimeout(f"The answer took longer than {self._within_s:g} s and was stopped.") from None
        finally:
            self._until_cut = None
