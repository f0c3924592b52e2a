"""The floor of one conversation: samples and partial transcripts in, turn events out."""

from __future__ import annotations

from serve_app.engines.turns.silero import FRAME_S, Silero, silero
from serve_app.protocols import Audio
from serve_app.turn_taking.events import SpeechStarted, SpeechStopped, TurnEvent
from serve_app.turn_taking.settings import TurnSettings

START_S = 0.1
"""Voice that begins an utterance while nobody else speaks; a click is shorter."""

HYSTERESIS = 0.15
"""How far under the threshold the probability falls before a voice counts as ended."""


class TurnDetector:
    """One stream. Not thread-safe: all methods from one event loop; `feed` takes .25 ms for every 32 ms of audio."""

    def __init__(self, settings: TurnSettings | None = None, voice: Silero | None = None) -> None:
        self.settings = settings or TurnSettings()
        self._voice = (voice or silero()).stream()
        self._now_s = 0.0
        self._tutor_text: str | None = None
        self.reset()

    @property
    def now_s(self) -> float:
        """Seconds of audio that were judged so far."""
        return self._now_s

    def use(self, settings: TurnSettings) -> None:
        """Go on with other settings; they hold from the next frame."""
        self.settings = settings

    def feed(self, samples: Audio) -> list[TurnEvent]:
        """Judge samples, float32 mono at 16 kHz, any length; returns what happened, in order."""
        return [event for probability in self._voice.feed(samples) for event in self._frame(probability)]

    def heard(self, text: str) -> None:
        """The transcript of the utterance so far; replaces the text before. Its effect is in the next `feed`."""
        self._text = text

    def tutor_speaking(self, speaking: bool, text: str = "") -> None:
        """The learner now hears the tutor say `text` (again with each piece), or hears nothing any more."""
        self._tutor_text = text if speaking else None

    def asked_question(self) -> None:
        """The tutor's last reply asked something: the learner may need to think before answering."""

    def reset(self) -> None:
        """Forget the utterance in progress (the client committed or cleared it); the clock goes on."""
        self._speaking = False
        self._loud = False
        self._run_s = 0.0
        self._begin_s = self._now_s
        self._voice_end_s = self._now_s
        self._text = ""

    def _frame(self, probability: float) -> list[TurnEvent]:
        self._now_s += FRAME_S
        edge = self.settings.threshold - (HYSTERESIS if self._loud else 0.0)
        voiced = probability >= edge
        if voiced and not self._loud:
            self._run_s = 0.0
        self._loud = voiced
        if not voiced:
            return self._silent_frame()
        self._run_s += FRAME_S
        self._voice_end_s = self._now_s
        if self._speaking:
            return []
        over_tutor = self._tutor_text is not None
        if self._run_s < (self.settings.interrupt_ms / 1000 if over_tutor else START_S):
            return []
        self._speaking = True
        begin = self._now_s - self._run_s - self.settings.prefix_padding_ms / 1000
        return [SpeechStarted(max(begin, 0.0), over_tutor)]

    def _silent_frame(self) -> list[TurnEvent]:
        if not self._speaking:
            return []
        if self._now_s - self._voice_end_s < self.settings.silence_duration_ms / 1000:
            return []
        stopped = SpeechStopped(self._now_s, "silence", self._voice_end_s)
        self.reset()
        return [stopped]
