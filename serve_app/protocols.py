"""The inputs and outputs of the stages, and the Protocols that engines implement.

An engine imports its library, numpy and this module, but neither Ray nor HTTP. All its methods may be called from
one event loop: blocking work runs in the engine's own threads. Closing a stream (`aclose()`, or cancelling its
consumer) stops the work at the next point where the library can be interrupted.
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
    """One spoken word: its start and end in the recording (seconds) and its probability (0..1)."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """The recognised text. `no_speech` means that nobody spoke; `text` is then empty.

    `language` is the one it was heard in, None where the engine does not say. `compute_s` is the stage's working time
    without waiting; 0 until the stage has set it.
    """

    text: str
    words: tuple[Word, ...] = ()
    no_speech: bool = False
    compute_s: float = 0.0
    language: str | None = None


Verdict = Literal["clear", "doubtful", "unclear", "missing"]
"""Of a word said after somebody: as it should be, perhaps not, not, left out."""


@dataclass(frozen=True, slots=True)
class WordScore:
    """One word of a given sentence: its time in the recording (seconds) and how well it was said, 0..1.

    `sounds_like` is the spelling of what the sound fits better, if it is another one.
    """

    word: str
    start: float
    end: float
    score: float
    verdict: Verdict
    sounds_like: str | None = None


class SpeechToTextEngine(Protocol):
    max_batch: int
    """How many utterances are worth transcribing at once; 1 if batching gains nothing."""

    async def transcribe_batch(
        self,
        audios: Sequence[Audio],
        *,
        language: str,
        prompt: str | None = None,
        others: Sequence[str] = (),
        learner_errors: bool = False,
        closed: Sequence[Event] = (),
    ) -> list[Transcript]:
        """Transcribe utterances of different learners together, results in the same order.

        An utterance that is clearly in one of the languages `others` is written in that language, and with
        `learner_errors` a learner's error is written as it was said, if the engine can.

        `closed[i]`, if given, is set when nobody waits for the i-th result any more: that result is then ignored,
        and the work stops once all are set.
        """
        ...

    async def transcribe(
        self,
        audio: Audio,
        *,
        language: str,
        prompt: str | None = None,
        others: Sequence[str] = (),
        learner_errors: bool = False,
    ) -> Transcript:
        """Transcribe one utterance at 16 kHz; `prompt` is text that was said before it."""
        ...

    async def pronounced(self, audio: Audio, sentence: str, *, language: str) -> list[WordScore]:
        """How well each word of `sentence` was said in a recording at 16 kHz; [] if nobody spoke.

        Raises:
            BadAudio: it holds more than 30 s of speech.
        """
        ...

    async def work_done(self) -> int:
        """Segments or decoder steps since the start, also of cancelled calls: shows what those still cost."""
        ...


@dataclass(frozen=True, slots=True)
class LevelEstimate:
    """An estimate of the learner's level.

    `level` is None until the learner has said enough; `probabilities` are per label, sum to 1, and are empty when
    level is None; `confidence` is that of `level`; `utterances` is how many utterances were used; `compute_s` as in
    Transcript.
    """

    level: str | None
    confidence: float
    probabilities: dict[str, float] = field(default_factory=dict)
    utterances: int = 0
    compute_s: float = 0.0


class CefrEngine(Protocol):
    max_batch: int
    """How many estimates are worth making at once; 1 if batching gains nothing."""

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


SENTENCE_CHARACTERS = 160
QUESTION_CHARACTERS = 90
"""The longest sentence and question of a ReplyForm: a small model may find no end."""


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """The form a reply must have: the rest of a sentence if `sentence`, then one question if `asks`, and nothing else.

    The question begins with one of `questions` (any words, if empty).
    """

    sentence: bool = True
    questions: tuple[str, ...] = ()
    asks: bool = True


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters of the LLM."""

    temperature: float = 0.4
    top_p: float = 0.5
    """Low: a small model's less likely words are often mistakes ("Tudo ótimo!" to bad news); not 0, so replies vary."""
    max_tokens: int = 90
    repeat_penalty: float = 1.0
    """1 turns it off. llama.cpp counts the prompt too, so a penalty would keep the tutor from repeating corrections."""
    seed: int | None = None
    stop: tuple[str, ...] = ("\n", "[", "Aluno:")
    """Texts that end the reply, which is one paragraph: "[" begins the next level tag, "Aluno:" the next turn."""
    json_schema: Mapping[str, Any] | None = None
    """If given, the reply is JSON of this schema."""
    form: ReplyForm | None = None
    """If given, the reply keeps to it; not together with `json_schema`."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """The last item of a finished stream: its cost, and why it ended.

    `prefill_s` runs from the start of the work to the first token, `decode_s` from there to the last one.
    """

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    finish_reason: str
    prefill_s: float = 0.0
    decode_s: float = 0.0


class ChatEngine(Protocol):
    def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[TextDelta | Usage, None]:
        """Write the reply: deltas, then one Usage. Closing the stream aborts the generation.

        If the last message is the assistant's, the model goes on from there, and the deltas hold only what it adds.
        """
        ...

    async def warm(self, messages: Sequence[Message], *, everywhere: bool = False) -> None:
        """Read the prefix `messages` into the prompt cache, so that the next stream starts from it.

        `everywhere`: into every slot, so that all parallel streams can start from it.
        """
        ...

    async def work_done(self) -> int:
        """Model steps since the start, also for cancelled replies: one per prompt batch or token."""
        ...

    async def check(self) -> None:
        """Raise RuntimeError if the engine cannot recover, so that its replica is replaced."""
        ...

    def close(self) -> None:
        """Stop the engine and its processes; it cannot be used afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Speech:
    """Audio of a part of a text: float32 mono `samples` at `sample_rate` per second.

    `compute_s` is the stage's working time on the text so far, without waiting.
    """

    samples: Audio
    sample_rate: int
    compute_s: float = 0.0


class TextToSpeechEngine(Protocol):
    sample_rate: int
    """Samples per second of what `synthesize` yields."""
    voices: Sequence[str]
    """The valid values of `voice`; the first is the default."""
    seamless: bool
    """True: pieces are cut anywhere in one continuous sound and played as they are. False: each is a phrase."""

    def synthesize(self, text: str, *, voice: str, speed: float) -> AsyncGenerator[Audio, None]:
        """Speak `text`: float32 pieces in order, without gaps between them."""
        ...

    async def work_done(self) -> int:
        """Pieces of audio made since the start, also for cancelled calls."""
        ...
