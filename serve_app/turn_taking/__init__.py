"""Who has the floor: when a learner begins, has finished, or speaks over the tutor. No Ray, no web framework."""

from serve_app.turn_taking.detector import TurnDetector
from serve_app.turn_taking.events import FalseStart, LikelyEnd, Paused, SpeechStarted, SpeechStopped, TurnEvent
from serve_app.turn_taking.models import TurnModels, turn_models
from serve_app.turn_taking.settings import TurnSettings, settings_for

__all__ = [
    "FalseStart",
    "LikelyEnd",
    "Paused",
    "SpeechStarted",
    "SpeechStopped",
    "TurnDetector",
    "TurnEvent",
    "TurnModels",
    "TurnSettings",
    "settings_for",
    "turn_models",
]
