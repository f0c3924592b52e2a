"""One stage at a time, without a conversation: what is asked of it is limited and measured as in a turn."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager

from serve_app.audio import duration_s, silence
from serve_app.config.limits import Limits
from serve_app.errors import ParleError
from serve_app.lesson.events import Failed
from serve_app.lesson.speech_cutter import Pace, PieceCutter
from serve_app.lesson.stage_limits import answer_within, items_within
from serve_app.lesson.stage_protocols import ChatRequest, HearingRequest, StageQueries, Stages, Utterance
from serve_app.lesson.turn_record import StageCall, TurnRecord, TurnRecorder
from serve_app.protocols import STT_SAMPLE_RATE, Audio, Speech, TextDelta, Transcript, Usage


class SingleCalls:
    """Calls of single stages for the routes of one ingress replica.

    Each is recorded as a turn of the route `openai` that has one stage; `ended` gets the record.
    """

    def __init__(
        self,
        stages: Stages,
        queries: StageQueries,
        limits: Callable[[], Limits],
        ended: Callable[[TurnRecord], None],
    ) -> None:
        self._stages = stages
        self._queries = queries
        self._limits = limits
        self._ended = ended
        self._pace = Pace()

    async def transcribe(self, audio: Audio, asked: HearingRequest, call_id: str) -> Transcript:
        """What is said in a recording; nobody speaking is no error here."""
        with self._measured("stt", call_id, duration_s(audio, STT_SAMPLE_RATE)) as (_, call):
            heard = await answer_within(self._limits().stt_s, self._queries.transcribe(audio, asked), "stt")
            call.received(heard.compute_s)
            return heard

    async def chat(self, request: ChatRequest, call_id: str) -> AsyncGenerator[TextDelta | Usage, None]:
        """The answer to chat messages: deltas, then one Usage."""
        with self._measured("llm", call_id) as (_, call):
            async with aclosing(items_within(self._limits().llm_s, self._queries.chat(request), "llm")) as items:
                async for item in items:
                    if isinstance(item, Usage):
                        call.received_usage(item)
                    else:
                        call.received()
                    yield item

    async def speak(
        self, text: str, voice: str | None, speed: float | None, call_id: str
    ) -> AsyncGenerator[Speech, None]:
        """A text spoken piece by piece, the first one short, so that it is there soon; None as in a turn."""
        cutter = PieceCutter(self._pace)
        cutter.feed(text)
        cutter.finish()
        playing_until = 0.0
        with self._measured("tts", call_id) as (recorder, call):
            while (piece := cutter.next_piece(slack_s := max(0.0, playing_until - time.perf_counter()))) is not None:
                began, audio_s, before_s = time.perf_counter(), 0.0, call.compute_s
                speech = self._stages.tts.synthesize(piece, voice, speed, slack_s=slack_s)
                stream = items_within(self._limits().tts_s, speech, "tts")
                async with aclosing(stream) as parts:
                    async for part in parts:
                        seconds = duration_s(part.samples, part.sample_rate)
                        audio_s += seconds
                        call.received(before_s + part.compute_s, seconds)
                        recorder.audio_sent()
                        playing_until = max(time.perf_counter(), playing_until) + seconds
                        yield part
                self._pace.learn(len(piece), time.perf_counter() - began, audio_s)

    @contextmanager
    def _measured(self, stage: str, call_id: str, audio_s: float = 0.0) -> Iterator[tuple[TurnRecorder, StageCall]]:
        """Records what the block does as a turn."""
        unheard = Utterance(silence(0, STT_SAMPLE_RATE), "", call_id, time.perf_counter(), route="openai")
        recorder = TurnRecorder(unheard)
        recorder.reached(stage)
        try:
            with recorder.calling(stage, audio_s) as call:
                yield recorder, call
            recorder.completed()
        except Exception as error:
            known = error if isinstance(error, ParleError) else ParleError("The server failed.")
            recorder.failed(Failed.of(known, stage))
            raise
        finally:
            self._ended(recorder.record())
