"""A pause in what the learner says, and what is known about it so far."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.turn_taking.clauses import Reading


@dataclass(slots=True)
class Pause:
    """Seconds; grows while the silence lasts.

    `finished` is the probability by the sound and `reading` how the words end, None until they are known. `spoken_s` is
    how much voice there was before it.
    """

    began_s: float
    spoken_s: float
    silent_s: float = 0.0
    finished: float | None = None
    reading: Reading | None = None
