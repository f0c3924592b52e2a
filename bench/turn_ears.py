"""The models of bench/turn_taking.py, each asked once for the same sound, and late, as they answer in a stack."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import Future
from functools import cached_property
from typing import Any

from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.stt.faster_whisper import FasterWhisper
from serve_app.engines.turns.silero import FRAME, VoiceStream, silero
from serve_app.engines.turns.smart_turn import SmartTurn
from serve_app.protocols import Audio
from serve_app.weights.model_names import cache_folder, resolve
from serve_app.weights.sources import SMART_TURN

SOUND_DELAY_S = 0.06
"""Until Smart Turn has answered."""


class Ears:
    """The models, each asked once for the same sound."""

    def __init__(self) -> None:
        self._path = cache_folder() / "bench" / "turn_taking.json"
        self._known: dict[str, Any] = json.loads(self._path.read_text("utf-8")) if self._path.exists() else {}

    def save(self) -> None:
        self._path.write_text(json.dumps(self._known, ensure_ascii=False), "utf-8")

    def text(self, audio: Audio) -> str:
        key = self._key("text", audio)
        if key not in self._known:
            self._known[key] = self._whisper.transcribe_now(audio, "pt", None, (), CancelScope()).text
        return self._known[key]

    def finished(self, audio: Audio) -> float:
        key = self._key("sound", audio)
        if key not in self._known:
            self._known[key] = self._smart_turn.finished(audio)
        return self._known[key]

    @staticmethod
    def _key(kind: str, audio: Audio) -> str:
        return f"{kind} {hashlib.sha256(audio.tobytes()).hexdigest()[:20]}"

    @cached_property
    def _whisper(self) -> FasterWhisper:
        return FasterWhisper(resolve("wheel:whisper-base"))

    @cached_property
    def _smart_turn(self) -> SmartTurn:
        return SmartTurn(resolve(SMART_TURN))


class Late:
    """Smart Turn, answering `SOUND_DELAY_S` of the stream after it was asked."""

    def __init__(self, ears: Ears) -> None:
        self._ears = ears
        self._pending: list[tuple[float, float, Future[float]]] = []
        self.now_s = 0.0

    def ask(self, audio: Audio) -> Future[float]:
        answer: Future[float] = Future()
        self._pending.append((self.now_s + SOUND_DELAY_S, self._ears.finished(audio), answer))
        return answer

    def pass_to(self, now_s: float) -> None:
        self.now_s = now_s
        for item in [item for item in self._pending if item[0] <= now_s]:
            item[2].set_result(item[1])
            self._pending.remove(item)


class HeardVoice:
    """Silero's probabilities of one conversation, computed once for all ways."""

    def __init__(self, audio: Audio) -> None:
        self._audio = audio

    @cached_property
    def _probabilities(self) -> list[float]:
        return silero().stream().feed(self._audio)

    def stream(self) -> VoiceStream:
        return _Replay(iter(self._probabilities))


class _Replay(VoiceStream):
    def __init__(self, probabilities: Iterator[float]) -> None:
        self._left = probabilities

    def feed(self, samples: Audio) -> list[float]:
        return [next(self._left) for _ in range(len(samples) // FRAME)]
