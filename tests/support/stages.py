"""Stages without models: they do what a turn asks of its stages, at a pace a test sets, and remember what they did."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from serve_app.engines.llm.context_full import context_full
from serve_app.lesson.stage_protocols import ChatRequest, HearingRequest, Stages
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.protocols import Audio, LevelEstimate, Speech, TextDelta, Transcript, Usage, Word, WordScore

RATE = 24_000
Log = list[str]


@dataclass
class Work:
    """What every stage keeps: calls that run now, calls that were stopped, items made, and the log they share."""

    name: str
    log: Log = field(default_factory=list)
    running: int = 0
    stopped: int = 0
    made: int = 0
    fails_with: Exception | None = None
    fails_after: int = 0
    """Items to make before failing."""
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def at_work(self) -> Generator[None]:
        self.running += 1
        self.begun.set()
        try:
            yield
        except BaseException as error:
            if not isinstance(error, Exception):
                self.stopped += 1
            raise
        finally:
            self.running -= 1

    def make(self, what: str) -> None:
        """Note one item, or fail where a failure is due."""
        if self.fails_with is not None and self.made >= self.fails_after:
            raise self.fails_with
        self.made += 1
        self.log.append(f"{self.name} {what}")


@dataclass
class Ears:
    """Hears the same text in every recording."""

    work: Work
    text: str = "Eu gosto de futebol."
    takes_s: float = 0.0
    asked: list[HearingRequest] = field(default_factory=list)
    words: tuple[Word, ...] = ()
    """Of the text; by default it is one word."""

    async def transcribe(self, audio: Audio, said_before: str = "") -> Transcript:
        with self.work.at_work():
            await asyncio.sleep(self.takes_s)
            self.work.make(self.text)
            words = self.words or (Word(self.text, 0.0, 1.0, 0.9),)
            return Transcript(self.text, words if self.text else (), no_speech=not self.text)

    async def transcribe_as(self, audio: Audio, asked: HearingRequest) -> Transcript:
        self.asked.append(asked)
        return replace(await self.transcribe(audio), language=asked.language or "pt")

    async def pronounced(self, audio: Audio, sentence: str) -> list[WordScore]:
        with self.work.at_work():
            await asyncio.sleep(self.takes_s)
            self.work.make(f"scores {sentence}")
            return [
                WordScore(word, i / 3, (i + 1) / 3, 0.9, "clear")
                if i % 2 == 0
                else WordScore(word, i / 3, (i + 1) / 3, 0.1, "unclear", word[:-1])
                for i, word in enumerate(sentence.split() if self.text else ())
            ]


@dataclass
class Judge:
    """Finds the same level in everything, or none."""

    work: Work
    level: str | None = "B1"
    takes_s: float = 0.0
    earlier: list[tuple[str, ...]] = field(default_factory=list)

    async def classify(self, text: str, earlier: Sequence[str]) -> LevelEstimate:
        with self.work.at_work():
            await asyncio.sleep(self.takes_s)
            self.work.make(str(self.level))
            self.earlier.append(tuple(earlier))
            if self.level is None:
                return LevelEstimate(None, 0.0)
            return LevelEstimate(self.level, 0.8, {self.level: 0.8, "A1": 0.2}, len(earlier) + 1)


@dataclass
class Writer:
    """Writes a reply word by word: the one to that utterance, else always the same."""

    work: Work
    reply_text: str = "Que legal! Você gosta muito de futebol. E qual é o seu time?"
    replies: dict[str, str] = field(default_factory=dict)
    word_s: float = 0.0
    prompt_tokens: int = 100
    most_exchanges: int = 1000
    """A longer history does not fit the context."""
    requests: list[TutorRequest] = field(default_factory=list)
    chats: list[ChatRequest] = field(default_factory=list)

    async def reply(self, request: TutorRequest) -> AsyncGenerator[TextDelta | Usage, None]:
        self.requests.append(request)
        if len(request.history) > self.most_exchanges:
            raise context_full()
        async for item in self._write(self.replies.get(request.utterance, self.reply_text), request.max_tokens):
            yield item

    async def chat(self, request: ChatRequest) -> AsyncGenerator[TextDelta | Usage, None]:
        self.chats.append(request)
        if len(request.messages) > self.most_exchanges:
            raise context_full()
        said = request.messages[-1]["content"]
        async for item in self._write(self.replies.get(said, self.reply_text), request.max_tokens):
            yield item

    async def _write(self, text: str, most: int) -> AsyncGenerator[TextDelta | Usage, None]:
        words = re.findall(r"\s*\S+", text)
        with self.work.at_work():
            for word in words[:most]:
                await asyncio.sleep(self.word_s)
                self.work.make(word)
                yield TextDelta(word)
            reason = "length" if len(words) > most else "stop"
            yield Usage(self.prompt_tokens, 0, min(most, len(words)), reason)


@dataclass
class Voice:
    """Speaks a text in `parts` tones of 0.1 s each."""

    work: Work
    part_s: float = 0.0
    parts: int = 1
    asked: list[tuple[str, str | None, float | None]] = field(default_factory=list)
    level_speeds: list[float] = field(default_factory=list)

    async def synthesize(
        self, text: str, voice: str | None, speed: float | None, level_speed: float = 1.0, slack_s: float = 0.0
    ) -> AsyncGenerator[Speech, None]:
        self.asked.append((text, voice, speed))
        self.level_speeds.append(level_speed)
        with self.work.at_work():
            for _ in range(self.parts):
                await asyncio.sleep(self.part_s)
                self.work.make(text)
                yield Speech(np.full(RATE // 10, 0.1, np.float32), RATE)


class House:
    """One of each stage, and the log of everything they did in order."""

    def __init__(self) -> None:
        self.log: Log = []
        self.stt = Ears(Work("stt", self.log))
        self.cefr = Judge(Work("cefr", self.log))
        self.llm = Writer(Work("llm", self.log))
        self.tts = Voice(Work("tts", self.log))
        self.away: set[str] = set()
        """Stages that say they cannot serve."""

    @property
    def works(self) -> list[Work]:
        return [self.stt.work, self.cefr.work, self.llm.work, self.tts.work]

    def stages(self, *, cefr: bool = True) -> Stages:
        return Stages(self.stt, self.cefr if cefr else None, self.llm, self.tts)

    @contextmanager
    def slow_replies(self) -> Generator[None]:
        """In the block a reply takes seconds, so that what a test does meanwhile is in time on a busy machine, too."""
        before, self.llm.word_s = self.llm.word_s, 0.5
        try:
            yield
        finally:
            self.llm.word_s = before

    def running(self) -> int:
        return sum(work.running for work in self.works)

    def made(self) -> int:
        return sum(work.made for work in self.works)
