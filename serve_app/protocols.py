"""What a stage takes and gives, and the shape of the engine behind it.

An engine knows its library, numpy and its Protocol here, and neither Ray nor HTTP. All
its methods are safe to call from one event loop: work that blocks runs in the engine's
own threads. Closing a stream (`aclose()`, or cancelling its consumer) stops the work at
the next point where the library can be interrupted.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Literal, Protocol, TypedDict, get_args

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
"""Mono samples in -1..1, shape [samples]."""

CefrLevel = Literal["A1", "A2", "B1", "B2", "C1", "C2"]

LEVELS: tuple[CefrLevel, ...] = get_args(CefrLevel)
"""The CEFR levels, lowest first."""

STT_SAMPLE_RATE = 16_000
"""Samples per second that every SpeechToText engine takes."""


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word with its place in the recording (seconds) and its probability (0..1)."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard. `no_speech` means that nobody spoke; `text` is then empty.

    `compute_s` is how long the stage worked on it, without the time it waited; 0 until the stage has set it.
    """

    text: str
    words: tuple[Word, ...] = ()
    no_speech: bool = False
    compute_s: float = 0.0


class SpeechToTextEngine(Protocol):
    max_batch: int
    """Utterances that `transcribe_batch` gains from taking at once; 1 where it gains nothing."""

    async def transcribe_batch(
        self, audios: Sequence[Audio], *, language: str, prompt: str | None = None, closed: Sequence[Event] = ()
    ) -> list[Transcript]:
        """Transcribe utterances of different learners together, results in the same order.

        `closed[i]`, where given, is set as soon as nobody waits for the i-th any more: its
        place in the result is then without meaning, and once all are set the work stops.
        """
        ...

    async def transcribe(self, audio: Audio, *, language: str, prompt: str | None = None) -> Transcript:
        """Transcribe one utterance at 16 kHz; `prompt` is context that was said before it."""
        ...

    async def work_done(self) -> int:
        """Segments, or decoder steps, since the start, wanted or not: what a cancelled turn still cost shows here."""
        ...


@dataclass(frozen=True, slots=True)
class LevelEstimate:
    """The learner's level as far as it can be told.

    `level` is None while too little was said to tell; `probabilities` (per label, sum 1,
    empty when level is None) and `confidence` (that of `level`) say how sure it is;
    `utterances` is how many utterances it rests on; `compute_s` as in Transcript.
    """

    level: str | None
    confidence: float
    probabilities: dict[str, float] = field(default_factory=dict)
    utterances: int = 0
    compute_s: float = 0.0


class CefrEngine(Protocol):
    max_batch: int
    """Estimates that `classify_batch` gains from making at once; 1 where it gains nothing."""

    async def classify_batch(self, requests: Sequence[tuple[str, Sequence[str]]]) -> list[LevelEstimate]:
        """Estimate for several learners, (text, earlier) each; results in the same order."""
        ...

    async def classify(self, text: str, earlier: Sequence[str] = ()) -> LevelEstimate:
        """Estimate from this utterance and the learner's `earlier` ones, oldest first."""
        ...


class Message(TypedDict):
    """One chat message in the form every chat template takes."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the tutor's tokens are drawn."""

    temperature: float = 0.4
    top_p: float = 0.5
    """Low: a small model's unlikely words are its mistakes ("Tudo ótimo!" to bad news), yet openings should vary."""
    max_tokens: int = 90
    repeat_penalty: float = 1.0
    """1 is none. llama.cpp counts the prompt's words as well, so a penalty forbids what a recast is made of."""
    seed: int | None = None
    stop: tuple[str, ...] = ("\n", "[", "Aluno:")
    """Texts that end the reply: it is one paragraph; "[" opens the next level tag, "Aluno:" the next turn."""
    json_schema: Mapping[str, Any] | None = None
    """Where given, the reply is JSON of this schema and nothing else."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the reply as the model writes it."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """The last item of a finished stream: what it cost, and why it ended.

    `prefill_s` is from the start of the work to the first token, `decode_s` from there to the last one.
    """

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    finish_reason: str
    prefill_s: float = 0.0
    decode_s: float = 0.0


class ChatEngine(Protocol):
    def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[TextDelta | Usage, None]:
        """Write the reply: deltas, then one Usage. Closing the stream aborts the generation."""
        ...

    async def warm(self, messages: Sequence[Message], *, everywhere: bool = False) -> None:
        """Put the prefix `messages` into the prompt cache, so that the next stream starts from it.

        `everywhere`: so that as many streams as the engine runs side by side can start from it at once.
        """
        ...

    async def work_done(self) -> int:
        """Steps of the model since the start, wanted or not: a batch of the prompt or a token each."""
        ...

    async def check(self) -> None:
        """Raise RuntimeError when the engine is lost for good, so that its replica is replaced."""
        ...

    def close(self) -> None:
        """End the engine and its processes; nothing may be asked of it afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Speech:
    """A part of a spoken text: float32 mono `samples` at `sample_rate` per second.

    `compute_s` is how long the stage has worked on the text so far, without the time it waited.
    """

    samples: Audio
    sample_rate: int
    compute_s: float = 0.0


class TextToSpeechEngine(Protocol):
    sample_rate: int
    """Samples per second of what `synthesize` yields."""
    voices: Sequence[str]
    """The names `voice` may have; the first is the default."""
    seamless: bool
    """Pieces are cut anywhere inside one sound, and are played as they are; else each is a phrase of its own."""

    def synthesize(self, text: str, *, voice: str, speed: float) -> AsyncGenerator[Audio, None]:
        """Speak `text`: float32 pieces in order, without gaps between them."""
        ...

    async def work_done(self) -> int:
        """Pieces of audio made since the start, wanted or not."""
        ...
