"""A client's microphone: the sound since the last commit, who has the floor, and what is heard of it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from serve_app.errors import InvalidField, ParleError
from serve_app.protocols import STT_SAMPLE_RATE, Audio, Transcript
from serve_app.routes.asked import Sound
from serve_app.routes.realtime.tape import Tape
from serve_app.turn_taking import FalseStart, Paused, SpeechStarted, SpeechStopped, TurnDetector, TurnEvent
from serve_app.turn_taking.settings import TurnSettings

AT_ONCE_S = 0.5
"""Sound that is judged in the event loop, 4 ms of work; more of it in a thread."""
KEPT_S = 8.0
"""Of silence: longer than any `prefix_padding_ms`."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What the learner said, from the first to the last moment, in ms of the stream."""

    sound: Sound
    start_ms: int
    end_ms: int


class Listening:
    """`hear` transcribes sound in the middle of an utterance; it is asked at pauses, while `spare()` says that the
    server has time for it. `longest_s`: what an utterance may have; a longer one ends there.
    """

    def __init__(
        self, hear: Callable[[Audio], Coroutine[Any, Any, Transcript]], spare: Callable[[], bool], longest_s: float
    ) -> None:
        self._hear, self._spare, self._longest_s = hear, spare, longest_s
        self._tape = Tape()
        self._detector: TurnDetector | None = None
        self._offset_s = 0.0
        """When the detector was switched on."""
        self._began_s: float | None = None
        self._heard: tuple[float, asyncio.Task[Transcript]] | None = None
        """An utterance up to then, being transcribed."""

    @property
    def detector(self) -> TurnDetector | None:
        return self._detector

    @property
    def now_s(self) -> float:
        return self._tape.end / STT_SAMPLE_RATE

    @property
    def speaking(self) -> bool:
        return self._began_s is not None

    @property
    def seconds(self) -> float:
        """Of sound that waits for a commit, as far as it can be committed."""
        return min(self._longest_s, len(self._tape) / STT_SAMPLE_RATE)

    def use(self, settings: TurnSettings | None) -> None:
        """Who decides when the learner has finished: the detector with these settings; None: the client."""
        if settings is None:
            self._detector = None
        elif self._detector is None:
            self._detector, self._offset_s = TurnDetector(settings), self.now_s
        else:
            self._detector.use(settings)

    async def feed(self, samples: Audio) -> list[tuple[TurnEvent, float]]:
        """More sound; what happened, with its time in the stream.

        Raises:
            InvalidField: the client never commits.
        """
        detector = self._detector
        if detector is None and (len(self._tape) + len(samples)) / STT_SAMPLE_RATE > self._longest_s:
            raise InvalidField(
                f"The buffer holds {self._longest_s:g} s of sound at most; commit or clear it.",
                code="input_audio_buffer_full",
            )
        self._tape.add(samples)
        if detector is None:
            return []
        if len(samples) <= AT_ONCE_S * STT_SAMPLE_RATE:
            events = detector.feed(samples)
        else:
            events = await asyncio.to_thread(detector.feed, samples)
        found = [(event, self._offset_s + event.at_s) for event in events]
        for event, at_s in found:
            self._follow(event, at_s)
        if self._began_s is None and not found:
            self._forget_before(self.now_s - KEPT_S)
        if self._began_s is not None and self.now_s - self._began_s > self._longest_s:
            stop_s = self._began_s + self._longest_s
            found.append((SpeechStopped(stop_s, "patience", stop_s), stop_s))
            detector.reset()
        return found

    def utterance(self, until_s: float | None = None, voice_end_s: float | None = None) -> Utterance | None:
        """What was said up to then, taken out of the buffer; None where there is nothing.

        `voice_end_s`: where the voice ended, so that what was transcribed after it counts.
        """
        start_s = self._tape.first / STT_SAMPLE_RATE if self._began_s is None else self._began_s
        end_s = self.now_s if until_s is None else until_s
        samples = self._between(start_s, min(end_s, start_s + self._longest_s))
        heard = None
        if self._heard is not None and voice_end_s is not None and self._heard[0] >= voice_end_s:
            heard, self._heard = self._heard[1], None
        self._forget_hearing()
        self._began_s = None
        self._forget_before(end_s)
        if not len(samples):
            return None
        return Utterance(Sound(samples, heard), round(1000 * start_s), round(1000 * end_s))

    def clear(self) -> None:
        self._forget_hearing()
        self._began_s = None
        self._forget_before(self.now_s)
        if self._detector is not None:
            self._detector.reset()

    def close(self) -> None:
        self._forget_hearing()

    def _follow(self, event: TurnEvent, at_s: float) -> None:
        match event:
            case SpeechStarted():
                self._began_s = max(at_s, self._tape.first / STT_SAMPLE_RATE)
            case Paused() if self._began_s is not None:
                self._forget_hearing()
                if self._spare():
                    self._start_hearing(at_s)
            case FalseStart():
                self._forget_hearing()
                self._began_s = None
            case _:
                pass

    def _start_hearing(self, at_s: float) -> None:
        assert self._began_s is not None
        task = asyncio.create_task(self._hear(self._between(self._began_s, at_s)))
        self._heard = (at_s, task)
        task.add_done_callback(lambda done: self._tell(done, at_s))

    def _tell(self, done: asyncio.Task[Transcript], at_s: float) -> None:
        """The detector reads what was said."""
        if done.cancelled():
            return
        with suppress(ParleError):
            transcript = done.result()
            if self._detector is not None and self._heard is not None and self._heard[1] is done:
                self._detector.heard(transcript.text, at_s - self._offset_s)

    def _forget_hearing(self) -> None:
        if self._heard is not None:
            self._heard[1].cancel()
            self._heard = None

    def _between(self, start_s: float, end_s: float) -> Audio:
        return self._tape.cut(round(start_s * STT_SAMPLE_RATE), round(end_s * STT_SAMPLE_RATE))

    def _forget_before(self, at_s: float) -> None:
        self._tape.forget_before(round(at_s * STT_SAMPLE_RATE))
