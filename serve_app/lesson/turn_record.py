"""How far a turn has come, and what it measured on the way: the source of metrics, log lines and spans."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from serve_app.lesson.events import Failed, Spoken, Status
from serve_app.lesson.stage_protocols import Utterance
from serve_app.protocols import Usage

Outcome = Literal["complete", "error", "cancelled"]

TIMINGS = ("stt_ms", "cefr_ms", "llm_ms", "tts_ms", "first_audio_ms", "total_ms")


@dataclass(slots=True)
class StageCall:
    """One call of a stage as the turn sees it. Points in time are of time.perf_counter.

    A turn calls stt, cefr and llm once, and tts once for each piece of the reply. `ended` is set
    however the call ended, `finished` only when it gave all it had to give.
    """

    stage: str
    began: float
    first: float | None = None
    """When the answer, or the first item of a stream, came."""
    ended: float | None = None
    finished: bool = False
    compute_s: float = 0.0
    """For how long the stage worked."""
    first_compute_s: float = 0.0
    """How much of that before `first`."""
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
        """From the call to the start of the stage's work: whatever of the wait for the first item was not work.

        A difference of durations, so the clocks of two nodes need not agree. The way of call and
        answer through Ray, a few milliseconds, is in it. None where nothing came, or the stage did not
        say how long it worked.
        """
        if self.first_s is None or not self.compute_s:
            return None
        return max(0.0, self.first_s - self.first_compute_s)

    def came(self, compute_s: float = 0.0) -> None:
        """The answer, or an item of a stream, has come; the stage has worked `compute_s` on the call so far."""
        if self.first is None:
            self.first, self.first_compute_s = time.perf_counter(), compute_s
        self.compute_s = compute_s

    def used(self, usage: Usage) -> None:
        """The reply is written and this is what it cost."""
        self.usage = usage
        self.first_compute_s, self.compute_s = usage.prefill_s, usage.prefill_s + usage.decode_s


@dataclass(slots=True)
class Progress:
    """What the turn has done so far; the stages' tasks share it."""

    stage: str = "stt"
    transcript: str = ""
    level: str | None = None
    reply: str = ""
    usage: Usage | None = None
    llm_done: bool = False
    spoken: list[str] = field(default_factory=list)
    held: list[Status | Spoken] = field(default_factory=list)
    pieces: int = 0
    remembered: bool = False
    playing_until: float = 0.0
    timing: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TIMINGS, 0))
    calls: list[StageCall] = field(default_factory=list)
    outcome: Outcome = "cancelled"
    """Until it is known to be another."""
    failure: Failed | None = None

    @contextmanager
    def calling(self, stage: str, audio_s: float = 0.0) -> Iterator[StageCall]:
        """A call of a stage; leaving the block ends it."""
        call = StageCall(stage, time.perf_counter(), audio_s=audio_s)
        self.calls.append(call)
        try:
            yield call
            call.finished = True
        finally:
            call.ended = time.perf_counter()

    def failed(self, failure: Failed) -> Failed:
        self.outcome, self.failure = "error", failure
        return failure

    def record(self, utterance: Utterance) -> TurnRecord:
        """What the turn measured, once it has ended."""
        return TurnRecord(
            utterance.turn_id,
            utterance.session_id,
            utterance.route,
            utterance.order,
            utterance.received_at,
            time.perf_counter(),
            self.outcome,
            self.failure.stage if self.failure else self.stage,
            self.failure.code if self.failure else None,
            self.timing["first_audio_ms"] / 1000 if self.spoken else None,
            tuple(self.calls),
        )


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A turn that has ended. Holds nothing of what was said."""

    turn_id: str
    session_id: str
    route: str
    order: str
    received_at: float
    """When the recording had arrived; like `ended_at` of time.perf_counter."""
    ended_at: float
    outcome: Outcome
    stage: str
    """That it had reached, or that is to blame."""
    code: str | None
    """Of the error, if it was one."""
    first_audio_s: float | None
    """From the end of the upload to the first audio event; None if none was sent."""
    calls: tuple[StageCall, ...]

    @property
    def seconds(self) -> float:
        return self.ended_at - self.received_at

    @property
    def real_time_factor(self) -> float | None:
        """Processing time / duration of the speech that was made; None where none was, or its cost is not known."""
        spoken = [call for call in self.calls if call.stage == "tts" and call.finished]
        audio_s, compute_s = sum(call.audio_s for call in spoken), sum(call.compute_s for call in spoken)
        return compute_s / audio_s if audio_s and compute_s else None
