"""What the detector of turns is told of the tutor: when its voice is heard, what it says, whether it asked."""

from __future__ import annotations

import asyncio

from serve_app.lesson.events import Event, Level, Spoken
from serve_app.protocols import CefrLevel
from serve_app.routes.realtime.listening import Listening
from serve_app.routes.realtime.response import Response


class Floor:
    """The playback clock of one connection: the client plays sound as it comes."""

    def __init__(self, listening: Listening) -> None:
        self._listening = listening
        self._end: asyncio.TimerHandle | None = None
        self.level: CefrLevel | None = None

    def follow(self, event: Event, response: Response) -> None:
        """One event of the answer has gone out."""
        if isinstance(event, Level):
            self.level = event.level  # pyright: ignore - one of the levels
        if not isinstance(event, Spoken):
            return
        if (detector := self._listening.detector) is not None:
            detector.tutor_speaking(True, event.text)
        self._cancel()
        loop = asyncio.get_running_loop()
        self._end = loop.call_later(response.plays_for_s, self._played, event.text)

    def quiet(self) -> None:
        """The voice was stopped."""
        self._cancel()
        if (detector := self._listening.detector) is not None:
            detector.tutor_speaking(False)

    def close(self) -> None:
        self._cancel()

    def _played(self, last: str) -> None:
        self.quiet()
        if last.rstrip().endswith("?") and (detector := self._listening.detector) is not None:
            detector.asked_question()

    def _cancel(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None
