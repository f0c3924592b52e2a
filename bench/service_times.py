"""What each stage takes alone: the input of the simulation, measured on the CPU or published for a card."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from .sharing import at

MEASURED = Path(__file__).parent / "service_times.json"


class Reply(BaseModel):
    """One turn's text: how long the learner spoke, how much of the prompt was new, what the tutor wrote."""

    audio_s: float
    new_tokens: int
    deltas: list[str]


class Stage(BaseModel):
    """A call takes fixed_s + each_s for every unit: second of audio (stt), token (prefill), character (tts)."""

    fixed_s: float = 0.0
    each_s: float
    threads: float = 1.0
    """CPU time / time; 1 on a card."""

    def seconds(self, units: float) -> float:
        return self.fixed_s + self.each_s * units


class Llm(BaseModel):
    """Continuous batching: every slot that writes gets one token a step."""

    slots: int
    batch_tokens: int
    """Prompt tokens of one step, at most."""
    prefill: Stage
    step_s: list[float]
    """Of a step that writes 1, 2 ... replies; beyond the last it grows as between the last two."""
    step_threads: float = 1.0
    switch_s: float = 0.0
    """What it costs to bring back a conversation that lost its slot."""

    def step(self, replies: int) -> float:
        return at(self.step_s, replies)


class ServiceTimes(BaseModel):
    """One machine."""

    name: str
    capacity: float
    stt: Stage
    llm: Llm
    tts: Stage
    tts_first_s: float | None = None
    """First audio of a piece where speech is streamed; None where a piece comes whole."""
    speech_s_per_character: float
    event: Stage = Stage(each_s=0.0)
    """Ray and HTTP: what one event on its way costs."""
    slowdown: dict[str, dict[str, float]] = {}
    """As `Shared` takes it; "tts_first" is the work up to a piece's first audio."""
    stt_batch: list[float] = [1.0]
    """How many times a call's time a batch of 1, 2 ... recordings takes; the longest list is the largest batch."""
    tts_together: list[float] = [1.0]
    """The same of pieces that are spoken at once; a list of one: one piece after the other."""
    replies: list[Reply]


@dataclass(slots=True)
class TurnTimes:
    """One simulated turn. Seconds since the recording was sent."""

    talker: int
    began: float
    first_audio_s: float = 0.0
    total_s: float = 0.0
    gap_s: float = 0.0
    """Silence between the pieces of the answer."""
    waited_s: dict[str, float] = field(default_factory=dict)
    """In the queue of each stage before its first work on the turn."""
