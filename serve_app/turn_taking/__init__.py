"""Who has the floor: when a learner begins, has finished, or speaks over the tutor. No Ray, no web framework."""

from serve_app.turn_taking.detector import TurnDetector
from serve_app.turn_taking.events import FalseStart, LikelyEnd, SpeechStarted, SpeechStopped, TurnEvent
from serve_app.turn_taking.settings import TurnSettings

__all__ = [
    "FalseStart",
    "LikelyEnd",
    "SpeechStarted",
    "SpeechStopped",
    "TurnDetector",
    "TurnEvent",
    "TurnSettings",
]
