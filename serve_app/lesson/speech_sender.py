"""Sends the speech of a turn: at once, or held back until the written reply has gone out."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass

from serve_app.audio import duration_s
from serve_app.config.stack import Order
from serve_app.lesson.events import Event, Spoken, Status
from serve_app.lesson.turn_record import TurnRecorder

FASTEST_SPEECH = 25.0
"""Characters a second that no voice exceeds."""


@dataclass(slots=True)
class _Piece:
    """A piece of text whose speech was sent, at least its first part."""

    text: str
    begins: float
    """When it can be heard at the earliest, on the clock of perf_counter."""
    seconds: float = 0.0

    def heard(self, now: float) -> str:
        """The words of it that can have been heard by now; "" if none."""
        whole = max(self.seconds, len(self.text) / FASTEST_SPEECH)  # more parts of it may come
        words = self.text.split()
        return " ".join(words[: max(0, math.ceil(len(words) * (now - self.begins) / whole))])


class SpeechSender:
    """Puts speech events into a turn's queue in order, and knows what the client has been sent so far.

    With order "eager" speech goes out as soon as it exists; with "documented" it is held until `release`.
    """

    def __init__(self, waiting: asyncio.Queue[Event | None], order: Order, recorder: TurnRecorder) -> None:
        self._waiting = waiting
        self._recorder = recorder
        self._holding = order == "documented"
        self._held: list[Status | Spoken] = []
        self._one_at_a_time = asyncio.Lock()
        self._sent: list[_Piece] = []
        self._playing_until = 0.0

    def heard_text(self) -> str:
        """The part of the reply that the listener can have heard by now, if they play it as it comes."""
        now = time.perf_counter()
        return " ".join(filter(None, (piece.heard(now) for piece in self._sent)))

    def sent_text(self) -> str:
        """The part of the reply whose speech has gone out, at least in part."""
        return " ".join(piece.text for piece in self._sent)

    def slack_s(self) -> float:
        """How long the listener still has something to hear; infinite while speech is held back."""
        if self._holding:
            return float("inf")
        return max(0.0, self._playing_until - time.perf_counter())

    async def send(self, *events: Status | Spoken) -> None:
        """Send the events, or keep them while speech is held back."""
        async with self._one_at_a_time:
            self._held += events
            while self._held and not self._holding:
                await self._put(self._held.pop(0))

    async def release(self) -> None:
        """The written reply has gone out: send what was held, and hold nothing from here on."""
        self._holding = False
        await self.send()

    async def _put(self, event: Status | Spoken) -> None:
        await self._waiting.put(event)
        if isinstance(event, Status):
            self._recorder.reached(event.stage)
            return
        self._recorder.audio_sent()
        playing = max(time.perf_counter(), self._playing_until)
        seconds = duration_s(event.samples, event.sample_rate)
        if not self._sent or self._sent[-1].text != event.text:  # a piece of text may come in several parts
            self._sent.append(_Piece(event.text, playing))
        self._sent[-1].seconds += seconds
        self._playing_until = playing + seconds
