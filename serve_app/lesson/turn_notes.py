"""What the store is told of a turn while it runs, and at its end."""

from __future__ import annotations

import time

from serve_app.lesson.conversation import Conversation
from serve_app.lesson.kept import KeptTurn, OpenTurn, TurnState
from serve_app.lesson.stage_protocols import Utterance
from serve_app.lesson.turn_pipeline import TurnPipeline
from serve_app.lesson.turn_record import TurnRecorder


class TurnNotes:
    """Writes one turn into the store, from its transcript on; before that there is nothing to keep."""

    def __init__(self, utterance: Utterance, pipeline: TurnPipeline, recorder: TurnRecorder) -> None:
        self.kept: OpenTurn | None = None
        """Set when the turn may run."""
        self._utterance = utterance
        self._pipeline = pipeline
        self._recorder = recorder
        self._heard: str | None = None
        """Of the reply, where the turn was interrupted."""
        self._began = time.time() - (time.perf_counter() - utterance.received_at)

    def so_far(self) -> None:
        """The transcript is known, or more of the reply has gone out."""
        self._write("running", self._pipeline.speech.sent_text())

    def complete(self, after: Conversation) -> None:
        self._write("complete", self._pipeline.reply, after=after)

    def interrupted(self, heard: str, after: Conversation) -> None:
        self._heard = heard
        self._write("interrupted", heard, after=after)

    def failed(self, code: str) -> None:
        """A turn that was cut stays an interrupted one: the conversation goes on with what was said."""
        if self._heard is not None:
            self._write("interrupted", self._heard, error=code)
            return
        self._write("failed", self._pipeline.speech.sent_text(), error=code)

    def _write(
        self, state: TurnState, reply: str, *, after: Conversation | None = None, error: str | None = None
    ) -> None:
        pipeline = self._pipeline
        if self.kept is None or not pipeline.begun:
            return
        turn = KeptTurn(
            self._utterance.turn_id,
            self._began,
            pipeline.transcript,
            pipeline.words,
            pipeline.language,
            pipeline.level,
            pipeline.estimate.data() if pipeline.estimate else None,
            pipeline.corrected.data() if pipeline.corrected else None,
            reply,
            state,
            error,
            None if state == "running" else time.time(),
            self._recorder.timing() if state == "complete" else None,
            self._utterance.kind,
            pipeline.progress.data() if pipeline.progress else None,
        )
        self.kept.write(turn, after)
