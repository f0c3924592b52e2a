"""What is measured of a turn: every call of a stage, when audio first went out, how the turn ended.

`TurnRecorder` is the only writer. `serve_app.lesson.turn` tells it what happens; the `TurnRecord` that comes out is
the source of metrics, log lines and spans (serve_app.observe).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from serve_app.lesson.events import Failed
from serve_app.lesson.stage_protocols import Utterance
from serve_app.protocols import Usage

Outcome = Literal["complete", "error", "cancelled"]

STAGES = ("stt", "cefr", "llm", "tts")


@dataclass(slots=True)
class StageCall:
    """One call of a stage as the turn sees it. Points in time are of time.perf_counter.

    A turn calls stt, cefr and llm once, and tts once for each piece of the reply. `ended` is set however the call
    ended, `finished` only when the stage delivered everything.
    """

    stage: str
    began: float
    first: float | None = None
    """When the answer, or the first item of a stream, arrived."""
    ended: float | None = None
    finished: bool = False
    compute_s: float = 0.0
    """How long the stage worked on the call."""
    first_compute_s: float = 0.0
    """How much of `compute_s` came before `first`."""
    audio_s: float = 0.0
    """Seconds of speech that went in (stt) or came out (tts)."""
    usage: Usage | None = None

    @property
    def seconds(self) -> float:
        return (self.ended or time.perf_counter()) - self.began

    @property
    def milliseconds(self) -> int:
        return round(1000 * self.seconds)

    @property
    def first_s(self) -> float | None:
        """From the call to the first item."""
        return None if self.first is None else self.first - self.began

    @property
    def queue_s(self) -> float | None:
        """From the call to the start of the stage's work: the wait for the first item, less the work on it.

        A difference of durations, so the clocks of two nodes need not agree. Includes Ray's transport of call and
        answer, a few milliseconds. None where nothing arrived, or the stage did not report its compute time.
        """
        if self.first_s is None or not self.compute_s:
            return None
        return max(0.0, self.first_s - self.first_compute_s)

    def received(self, compute_s: float = 0.0, audio_s: float = 0.0) -> None:
        """The answer, or one item of a stream, has arrived.

        `compute_s` is the stage's work on the call so far; `audio_s` the speech in this item alone.
        """
        if self.first is None:
            self.first, self.first_compute_s = time.perf_counter(), compute_s
        self.compute_s = compute_s
        self.audio_s += audio_s

    def received_usage(self, usage: Usage) -> None:
        """The reply is complete and `usage` says what it cost."""
        self.usage = usage
        self.first_compute_s, self.compute_s = usage.prefill_s, usage.prefill_s + usage.decode_s


class TurnRecorder:
    """Measures one turn while it runs. Cancelled until `completed` or `failed` is called."""

    def __init__(self, utterance: Utterance) -> None:
        self._utterance = utterance
        self._stage = "stt"
        self._calls: list[StageCall] = []
        self._first_audio_ms: int | None = None
        self._outcome: Outcome = "cancelled"
        self._failure: Failed | None = None

    @property
    def stage(self) -> str:
        """The stage that the turn has reached."""
        return self._stage

    def reached(self, stage: str) -> None:
        self._stage = stage

    @contextmanager
    def calling(self, stage: str, audio_s: float = 0.0) -> Iterator[StageCall]:
        """A call of a stage; it ends when the block is left, and is finished if nothing was raised."""
        call = StageCall(stage, time.perf_counter(), audio_s=audio_s)
        self._calls.append(call)
        try:
            yield call
            call.finished = True
        finally:
            call.ended = time.perf_counter()

    def audio_sent(self) -> None:
        """An audio event went out; the first one is the time that the learner waited."""
        if self._first_audio_ms is None:
            self._first_audio_ms = self._since_upload_ms()

    def completed(self) -> None:
        self._outcome = "complete"

    def failed(self, failure: Failed) -> None:
        self._outcome, self._failure = "error", failure

    def timing(self) -> dict[str, int]:
        """`timing` of the `complete` event, in ms; 0 for a stage that the stack lacks."""
        stages = {
            f"{stage}_ms": sum(call.milliseconds for call in self._calls if call.stage == stage and call.finished)
            for stage in STAGES
        }
        return {**stages, "first_audio_ms": self._first_audio_ms or 0, "total_ms": self._since_upload_ms()}

    def record(self) -> TurnRecord:
        """The finished measurement; call it once the turn has ended."""
        return TurnRecord(
            self._utterance.turn_id,
            self._utterance.conversation_id,
            self._utterance.route,
            self._utterance.order,
            self._utterance.received_at,
            time.perf_counter(),
            self._outcome,
            self._failure.stage if self._failure else self._stage,
            self._failure.code if self._failure else None,
            None if self._first_audio_ms is None else self._first_audio_ms / 1000,
            tuple(self._calls),
        )

    def _since_upload_ms(self) -> int:
        return round(1000 * (time.perf_counter() - self._utterance.received_at))


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """The measurements of a turn that has ended. Holds nothing of what was said."""

    turn_id: str
    session_id: str
    route: str
    order: str
    received_at: float
    """When the whole recording had arrived; like `ended_at` of time.perf_counter."""
    ended_at: float
    outcome: Outcome
    stage: str
    """The last stage reached, or the one that failed."""
    code: str | None
    """The error's code, if the turn failed."""
    first_audio_s: float | None
    """From the end of the upload to the first audio event; None if none was sent."""
    calls: tuple[StageCall, ...]

    @property
    def seconds(self) -> float:
        return self.ended_at - self.received_at

    @property
    def real_time_factor(self) -> float | None:
        """Processing time / duration of the speech that was made; None where none was, or its cost is unknown."""
        spoken = [call for call in self.calls if call.stage == "tts" and call.finished]
        audio_s, compute_s = sum(call.audio_s for call in spoken), sum(call.compute_s for call in spoken)
        return compute_s / audio_s if audio_s and compute_s else None
