"""The models of turn-taking, one of each for all learners of a process."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from serve_app.engines.turns.silero import VoiceStream, silero
from serve_app.engines.turns.smart_turn import SmartTurn
from serve_app.errors import StackError
from serve_app.protocols import Audio
from serve_app.weights.model_names import resolve
from serve_app.weights.sources import SMART_TURN

log = logging.getLogger(__name__)


class VoiceModel(Protocol):
    def stream(self) -> VoiceStream: ...


class SoundVote(Protocol):
    def ask(self, audio: Audio) -> Future[float]:
        """The probability that the speaker of `audio`, 16 kHz, has finished; worked out beside the caller."""
        ...


@dataclass(frozen=True, slots=True)
class TurnModels:
    """`sound` None: without that vote, the words and the patience decide."""

    voice: VoiceModel
    sound: SoundVote | None


@cache
def turn_models() -> TurnModels:
    """Load them, once a process; half a second, so not in an event loop that serves.

    Raises:
        StackError: faster-whisper, in which the voice detector comes, is not installed.
    """
    return TurnModels(silero(), _smart_turn())


def _smart_turn() -> SmartTurn | None:
    try:
        return SmartTurn(resolve(SMART_TURN))
    except StackError as error:
        log.warning("turn-taking without the sound of the voice: %s", error.message)
        return None
