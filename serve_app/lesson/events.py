"""The events of a turn as typed classes, and their two wire formats: SSE and WebSocket.

Field names and order are the published contract (docs/wire.md). Extend it with new events or new fields only.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from serve_app.audio import wav
from serve_app.errors import ParleError
from serve_app.learner.learning import News
from serve_app.protocols import Audio, LevelEstimate, Transcript, Usage
from serve_app.scenarios.placement import Placement
from serve_app.teaching.error_rules import Correction
from serve_app.teaching.running_level import likely_range, uncertainty


@dataclass(frozen=True, slots=True)
class Waiting:
    """All places are taken; the turn begins when it has reached the head of the queue."""

    name: ClassVar[str] = "waiting"
    place: int
    """1 is next."""

    def data(self) -> dict[str, Any]:
        return {"place": self.place}


@dataclass(frozen=True, slots=True)
class Status:
    """A stage begins."""

    name: ClassVar[str] = "status"
    stage: str

    def data(self) -> dict[str, Any]:
        return {"stage": self.stage}


@dataclass(frozen=True, slots=True)
class Heard:
    """What the learner said, or `typed`."""

    name: ClassVar[str] = "transcript"
    transcript: Transcript
    stt_ms: int
    session_id: str
    typed: bool = False

    def data(self) -> dict[str, Any]:
        return {
            "transcript": self.transcript.text,
            "stt_ms": self.stt_ms,
            "words": [asdict(word) for word in self.transcript.words],
            "session_id": self.session_id,
            "language": self.transcript.language,
            **({"typed": True} if self.typed else {}),
        }


@dataclass(frozen=True, slots=True)
class Level:
    """The level the tutor speaks at. `fixed`: the client chose it; `estimate` is still what the classifier found."""

    name: ClassVar[str] = "level"
    level: str | None
    estimate: LevelEstimate
    cefr_ms: int
    fixed: bool

    def data(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "confidence": round(self.estimate.confidence, 3),
            "cefr_ms": self.cefr_ms,
            "estimate": self.estimate.level,
            "probabilities": {label: round(p, 3) for label, p in self.estimate.probabilities.items()},
            "utterances": self.estimate.utterances,
            "fixed": self.fixed,
            **self._doubt(),
        }

    def _doubt(self) -> dict[str, Any]:
        probabilities = self.estimate.probabilities
        if not probabilities:
            return {"uncertainty": None, "low": None, "high": None}
        low, high = likely_range(probabilities)
        return {"uncertainty": round(uncertainty(probabilities), 2), "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class Corrected:
    """One error in what the learner said, and what would be right; at most one a turn."""

    name: ClassVar[str] = "correction"
    correction: Correction
    shown: bool = True
    """Whether it is worth showing to the learner."""

    def data(self) -> dict[str, Any]:
        return {**asdict(self.correction), "shown": self.shown}


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the reply as it is written."""

    name: ClassVar[str] = "delta"
    text: str

    def data(self) -> dict[str, Any]:
        return {"text": self.text}


@dataclass(frozen=True, slots=True)
class Response:
    """The whole reply."""

    name: ClassVar[str] = "response"
    response: str
    llm_ms: int

    def data(self) -> dict[str, Any]:
        return {"response": self.response, "llm_ms": self.llm_ms}


@dataclass(frozen=True, slots=True)
class Spoken:
    """Audio of one part of the reply. `samples` is float32 mono at `sample_rate`."""

    name: ClassVar[str] = "audio"
    index: int
    text: str
    samples: Audio
    sample_rate: int

    def wav(self) -> bytes:
        """The part as a complete WAV file."""
        return wav(self.samples, self.sample_rate)

    def data(self) -> dict[str, Any]:
        return {"chunk": base64.b64encode(self.wav()).decode("ascii"), "index": self.index, "text": self.text}


@dataclass(frozen=True, slots=True)
class Opened:
    """The tutor speaks first: in which conversation, and in which scenario."""

    name: ClassVar[str] = "opening"
    session_id: str
    scenario: str | None
    level: str

    def data(self) -> dict[str, Any]:
        return {"session_id": self.session_id, "scenario": self.scenario, "level": self.level}


@dataclass(frozen=True, slots=True)
class InScenario:
    """How far the conversation has got in its scenario. `goal`: it was reached in this turn."""

    name: ClassVar[str] = "scenario"
    scenario: str
    step: str | None
    done: tuple[str, ...]
    goal: bool

    def data(self) -> dict[str, Any]:
        return {"id": self.scenario, "step": self.step, "done": list(self.done), "goal": self.goal}


@dataclass(frozen=True, slots=True)
class Placed:
    """What the answers of a placement talk say of the level."""

    name: ClassVar[str] = "placement"
    placement: Placement

    def data(self) -> dict[str, Any]:
        return self.placement.data()


@dataclass(frozen=True, slots=True)
class Summarised:
    """The lesson, summed up."""

    name: ClassVar[str] = "summary"
    summary: dict[str, Any]

    def data(self) -> dict[str, Any]:
        return self.summary


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the turn changed of what is known of the learner. `due`: how many items should come back by now."""

    name: ClassVar[str] = "learner"
    due: int
    news: News

    def data(self) -> dict[str, Any]:
        return {"due": self.due, **{name: list(uses) for name, uses in asdict(self.news).items()}}


@dataclass(frozen=True, slots=True)
class Complete:
    """The turn succeeded. `timing` holds the stages' times in ms; 0 for a stage that the stack lacks."""

    name: ClassVar[str] = "complete"
    transcript: str
    response: str
    timing: dict[str, int] = field(default_factory=dict)
    usage: Usage | None = None
    """Of the LLM, for the routes whose form has a place for it; None where it was not asked."""

    def data(self) -> dict[str, Any]:
        return {"transcript": self.transcript, "response": self.response, "timing": self.timing}


@dataclass(frozen=True, slots=True)
class Failed:
    """The turn failed; this is its last event."""

    name: ClassVar[str] = "error"
    code: str
    message: str
    stage: str

    @classmethod
    def of(cls, error: ParleError, stage: str) -> Failed:
        return cls(error.code, error.message, error.stage or stage)

    def data(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "stage": self.stage}


Event = (
    Waiting
    | Status
    | Heard
    | Level
    | Corrected
    | Delta
    | Response
    | Spoken
    | Opened
    | InScenario
    | Placed
    | Summarised
    | Remembered
    | Complete
    | Failed
)


def sse(event: Event) -> bytes:
    """One server-sent event."""
    return f"event: {event.name}\ndata: {_json(event.data())}\n\n".encode()


def websocket(event: Event) -> str | bytes:
    """One WebSocket message: audio is a binary WAV file, everything else JSON text."""
    if isinstance(event, Spoken):
        return event.wav()
    return _json({"event": event.name, **event.data()})


def _json(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
