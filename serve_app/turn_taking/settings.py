"""How one learner's turns are told apart; the names are those of OpenAI's `turn_detection`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from serve_app.config.user_config import TurnTakingSettings
from serve_app.protocols import CefrLevel

Mode = Literal["server_vad", "semantic_vad"]
"""server_vad: a silence of a fixed length ends the turn; semantic_vad: what was said decides how long to wait."""

Eagerness = Literal["low", "medium", "high", "auto"]

PATIENCE_S: Mapping[CefrLevel, float] = {"A1": 1.8, "A2": 1.8, "B1": 1.5, "B2": 1.5, "C1": 1.2, "C2": 1.2}
"""The longest pause by level, where neither words nor sound tell whether more comes."""


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """May be replaced at any time with `dataclasses.replace` and `TurnDetector.use`."""

    mode: Mode = "semantic_vad"
    threshold: float = 0.5
    """Probability of a voice (0..1) from which a frame counts as one."""
    prefix_padding_ms: int = 300
    """Audio before the voice that belongs to the utterance."""
    silence_duration_ms: int = 500
    """Of `server_vad`: the silence that ends the turn."""
    eagerness: Eagerness = "auto"
    """Of `semantic_vad`: low waits longer, high shorter; auto is medium."""
    level: CefrLevel = "A2"
    """The learner's level, which decides the patience where none is given."""
    patience_s: float | None = None
    """Of `semantic_vad`: the learner's own patience in place of that of the level."""
    patience_by_level: Mapping[CefrLevel, float] = field(default_factory=lambda: PATIENCE_S)
    interrupt_ms: int = 250
    """Voice over the tutor's that counts as an interruption."""


def settings_for(chosen: TurnTakingSettings, level: CefrLevel, patience_s: float | None = None) -> TurnSettings:
    """Those of the stack for a learner of this level; `patience_s` is the learner's own choice.

    What a Realtime client says in `turn_detection` goes over it with `dataclasses.replace`: the names are the same.
    """
    return TurnSettings(
        threshold=chosen.threshold,
        eagerness=chosen.eagerness,
        level=level,
        patience_s=patience_s,
        patience_by_level={**PATIENCE_S, **chosen.patience},
        interrupt_ms=chosen.interrupt_ms,
    )
