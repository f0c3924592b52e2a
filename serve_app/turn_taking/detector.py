"""The floor of one conversation: samples and partial transcripts in, turn events out."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future

import numpy as np

from serve_app.engines.turns.silero import FRAME, FRAME_S
from serve_app.protocols import Audio
from serve_app.turn_taking.clauses import reading
from serve_app.turn_taking.events import FalseStart, LikelyEnd, Paused, SpeechStarted, SpeechStopped, TurnEvent
from serve_app.turn_taking.models import TurnModels, turn_models
from serve_app.turn_taking.over_tutor import OverTutor
from serve_app.turn_taking.patience import Patience
from serve_app.turn_taking.pause import Pause
from serve_app.turn_taking.settings import TurnSettings
from serve_app.turn_taking.stops import StopStrategy, by_votes, fixed_silence

START_S = 0.1
"""Voice that begins an utterance while nobody else speaks; a click is shorter."""

RESUME_S = 0.064
"""Voice that ends a pause; one loud frame does not."""

HYSTERESIS = 0.15
"""How far under the threshold the probability falls before a voice counts as ended."""

PAUSED_S = 0.09
"""Silence after which a pause is reported; the closure of a plosive is shorter."""

ASK_S = 0.15
"""Silence after which the sound is judged, once a pause: with more silence everything sounds finished."""

LIKELY = 0.5
"""Probability of an end over which a `LikelyEnd` is reported."""

FALSE_START_S = 0.4
"""Silence after which an interruption that was none is thrown away."""

CUT_OFF_S = 1.5
"""A voice so soon after the end of a turn, before the tutor answers, means that the end was none."""

UNSEEN_S = 0.1
"""Voice at the end of an utterance that a transcript may lack and still be that of the whole utterance."""

LONGEST_S = 8.0
"""Audio that is kept to judge its sound."""


class TurnDetector:
    """One stream. Not thread-safe: all methods from one event loop; `feed` takes .25 ms for every 32 ms of audio.

    `models` None: those of the process, which are loaded now if they are not yet. `strategy` decides in place of the
    one that the settings name.
    """

    def __init__(
        self,
        settings: TurnSettings | None = None,
        models: TurnModels | None = None,
        *,
        strategy: StopStrategy | None = None,
    ) -> None:
        self.settings = settings or TurnSettings()
        models = models or turn_models()
        self._voice = models.voice.stream()
        self._sound = models.sound
        self._own_strategy = strategy
        self._tutor = OverTutor()
        self._patience = Patience()
        self._after_question = False
        self._frames = 0
        self._loud = False
        self._run_s = 0.0
        self._rest: Audio = np.zeros(0, np.float32)
        self._recent: deque[Audio] = deque(maxlen=round(LONGEST_S / FRAME_S))
        self._stopped_s: float | None = None
        self.reset()

    @property
    def now_s(self) -> float:
        """Seconds of audio that were judged so far."""
        return self._frames * FRAME_S

    def use(self, settings: TurnSettings) -> None:
        """Go on with other settings; they hold from the next frame."""
        self.settings = settings

    def feed(self, samples: Audio) -> list[TurnEvent]:
        """Judge samples, float32 mono at 16 kHz, any length; returns what happened, in order."""
        heard = np.concatenate([self._rest, samples.astype(np.float32, copy=False)])
        whole = len(heard) // FRAME * FRAME
        self._rest = heard[whole:].copy()
        events: list[TurnEvent] = []
        for begin in range(0, whole, FRAME):
            frame = heard[begin : begin + FRAME]
            self._recent.append(frame)
            self._frames += 1
            for probability in self._voice.feed(frame):
                events += self._frame(probability)
        return events

    def heard(self, text: str, until_s: float | None = None) -> None:
        """The transcript of the utterance up to `until_s` (None: all of it so far); replaces the one before.

        Empty: the transcriber found no words. The effect is in the next `feed`.
        """
        self._text, self._text_until_s = text, self.now_s if until_s is None else until_s

    def tutor_speaking(self, speaking: bool, text: str = "") -> None:
        """The learner now hears the tutor say `text` (again with each piece), or hears nothing any more."""
        self._tutor.says(text if speaking else None, self.now_s)
        if speaking:
            self._after_question = False
            self._stopped_s = None

    def asked_question(self) -> None:
        """The tutor's last words asked something, so the learner may need to think. Until the tutor speaks again."""
        self._after_question = True

    def reset(self) -> None:
        """Forget the utterance in progress (the client committed or cleared it); the clock and learned pauses stay."""
        self._speaking = False
        self._over: str | None = None
        self._begin_s = self._voice_end_s = self.now_s
        self._run_s = self._spoken_s = 0.0
        self._pause: Pause | None = None
        self._asked: Future[float] | None = None
        self._was_asked = False
        self._likely = False
        self._text, self._text_until_s = "", -1.0

    def _frame(self, probability: float) -> list[TurnEvent]:
        threshold = self._tutor.threshold(self.settings)
        self._loud = probability >= (threshold - HYSTERESIS if self._loud else threshold)
        self._run_s = self._run_s + FRAME_S if self._loud else 0.0
        if not self._speaking:
            return self._started()
        if self._loud and (self._pause is None or self._run_s >= RESUME_S):
            return self._voiced()
        return self._silent()

    def _started(self) -> list[TurnEvent]:
        over = self._tutor.audible(self.now_s)
        speaking = self._tutor.speaking
        needed = self._tutor.voice_needed_s(self.settings, self.now_s) if speaking else START_S
        if not self._loud or self._run_s < needed:
            return []
        voiced_s, begin_s = self._run_s, self.now_s - self._run_s
        if self._stopped_s is not None and begin_s - self._stopped_s < CUT_OFF_S:
            self._patience.learn(begin_s - self._voice_end_s)
        self.reset()
        self._speaking, self._over = True, over
        self._begin_s, self._voice_end_s, self._spoken_s = begin_s, self.now_s, voiced_s
        return [SpeechStarted(max(begin_s - self.settings.prefix_padding_ms / 1000, 0.0), speaking)]

    def _voiced(self) -> list[TurnEvent]:
        if self._pause is not None:
            self._patience.learn(self.now_s - self._run_s - self._pause.began_s)
            self._pause, self._asked, self._was_asked, self._likely = None, None, False, False
            self._spoken_s += self._run_s
        else:
            self._spoken_s += FRAME_S
        self._voice_end_s = self.now_s
        return []

    def _silent(self) -> list[TurnEvent]:
        events: list[TurnEvent] = []
        before_s = self._pause.silent_s if self._pause else 0.0
        if self._pause is None:
            self._pause = Pause(self._voice_end_s, self._spoken_s)
        pause = self._pause
        pause.silent_s = self.now_s - pause.began_s
        if before_s < PAUSED_S <= pause.silent_s:
            events.append(Paused(self.now_s))
        self._inquire(pause)
        if (false_start := self._false_start(pause)) is not None:
            self.reset()
            return [*events, false_start]
        wait = self._strategy()(pause)
        if wait.probability > LIKELY and pause.silent_s >= PAUSED_S and not self._likely:
            self._likely = True
            events.append(LikelyEnd(self.now_s, wait.probability))
        if pause.silent_s >= wait.seconds:
            events.append(SpeechStopped(self.now_s, wait.reason, pause.began_s))
            self.reset()
            self._stopped_s, self._voice_end_s = self.now_s, pause.began_s
        return events

    def _inquire(self, pause: Pause) -> None:
        """Ask for the sound's vote where it is due, and take what is known by now."""
        if self._sound and not self._was_asked and pause.silent_s >= ASK_S:
            self._was_asked = True
            since_s = self.now_s - self._begin_s + self.settings.prefix_padding_ms / 1000
            frames = min(round(since_s / FRAME_S), len(self._recent))
            self._asked = self._sound.ask(np.concatenate(list(self._recent)[-frames:]))
        if self._asked is not None and self._asked.done():
            pause.finished, self._asked = self._asked.result(), None
        whole = self._text_until_s >= pause.began_s - UNSEEN_S
        pause.reading = reading(self._text) if whole else None

    def _false_start(self, pause: Pause) -> FalseStart | None:
        if self._text_until_s < pause.began_s - UNSEEN_S or pause.silent_s < FALSE_START_S:
            return None
        if not self._text.strip():
            return FalseStart(self.now_s, "too_short")
        if self._over is None or (reason := self._tutor.judge(self._text, self._over)) is None:
            return None
        return FalseStart(self.now_s, reason)

    def _strategy(self) -> StopStrategy:
        if self._own_strategy is not None:
            return self._own_strategy
        if self.settings.mode == "server_vad":
            return fixed_silence(self.settings)
        return by_votes(self.settings, self._patience, after_question=self._after_question)
