"""What a turn needs from outside: the utterance to answer, and the stages as Protocols."""

from __future__ import annotations

from asyncio import Future
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from serve_app.config.stack import Order
from serve_app.config.user_config import CorrectionStyle
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.kept import TurnKind
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.protocols import Audio, LevelEstimate, Message, Speech, TextDelta, Transcript, Usage, WordScore


class SpeechToTextStage(Protocol):
    async def transcribe(self, audio: Audio, said_before: str) -> Transcript: ...

    async def pronounced(self, audio: Audio, sentence: str) -> list[WordScore]: ...


class CefrStage(Protocol):
    async def classify(self, text: str, earlier: Sequence[str]) -> LevelEstimate: ...


class TutorStage(Protocol):
    def reply(self, request: TutorRequest) -> AsyncGenerator[TextDelta | Usage, None]: ...


class TextToSpeechStage(Protocol):
    def synthesize(
        self, text: str, voice: str | None, speed: float | None, level_speed: float = 1.0, slack_s: float = 0.0
    ) -> AsyncGenerator[Speech, None]: ...


@dataclass(frozen=True, slots=True)
class HearingRequest:
    """What a client asks of a transcription outside of turns; None means the stack's default."""

    language: str | None = None
    """Its ISO 639-1 code; the speech is then written in no other."""
    prompt: str | None = None
    """Text that Whisper takes as said before."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """Chat messages to answer outside of turns; None means the stack's sampling.

    Without a system message the tutor's prompt comes before them.
    """

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of a turn, in order; `cefr` is optional."""

    stt: SpeechToTextStage
    cefr: CefrStage | None
    llm: TutorStage
    tts: TextToSpeechStage


class StageQueries(Protocol):
    """What the routes ask of the stages outside of turns."""

    async def voices(self) -> list[str]: ...

    async def warm(self, conversation_id: str, history: tuple[Exchange, ...]) -> None: ...

    async def ready(self) -> dict[str, bool]: ...

    async def transcribe(self, audio: Audio, asked: HearingRequest) -> Transcript: ...

    def chat(self, request: ChatRequest) -> AsyncGenerator[TextDelta | Usage, None]: ...


@dataclass(frozen=True, slots=True)
class Utterance:
    """The recording of one turn and what the client chose for it; None means the stack's default.

    `received_at` (time.perf_counter) is when its last byte arrived; the turn's times count from there.
    """

    audio: Audio
    session_id: str
    turn_id: str
    received_at: float
    level: str | None = None
    voice: str | None = None
    speed: float | None = None
    correction: CorrectionStyle | None = None
    order: Order = "eager"
    route: str = ""
    """The route it came by, as the YAML names it; for metrics and logs."""
    owner: str = ""
    """The name of the API key it came with; "" where none is needed."""
    scenario: str | None = None
    """The scenario of the conversation from here on; None: that which it has."""
    kind: TurnKind = "turn"
    """Where the tutor speaks unasked there is no audio."""
    text: str = ""
    """What was typed; then there is no audio."""
    heard: Future[Transcript] | None = None
    """Where the audio was given to STT before the turn began: what it hears."""
    silent: bool = False
    """Whether the reply is only written."""
    heard_reply: str | None = None
    """What of the conversation's last reply was heard, where that was known only after its turn; None: all of it."""
    learner_id: str | None = None
    """Who learns; None: nothing is kept beyond the conversation."""

    @property
    def conversation_id(self) -> str:
        return conversation_id_of(self.owner, self.session_id)

    @property
    def learner(self) -> str | None:
        """The learner in the store: as with a session, that of another key is another one."""
        return conversation_id_of(self.owner, self.learner_id) if self.learner_id else None


def conversation_id_of(owner: str, session_id: str) -> str:
    """The conversation in the store: a session id is known to the key that made it only."""
    return f"{owner}/{session_id}" if owner else session_id
