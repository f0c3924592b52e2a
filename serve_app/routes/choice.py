"""What a client may choose for its turns."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from serve_app.config.stack import Order
from serve_app.config.strict import explain
from serve_app.config.user_config import CorrectionStyle, known_style
from serve_app.errors import InvalidField, did_you_mean
from serve_app.lesson.kept import TurnKind
from serve_app.lesson.stage_protocols import Utterance
from serve_app.protocols import Audio, CefrLevel
from serve_app.routes.asked import Sound, Typed

NO_AUDIO: Audio = np.zeros(0, np.float32)
SESSION_ID = r"^[A-Za-z0-9._:-]{1,128}$"


class Choice(BaseModel):
    """What a client may choose for a turn; None means the stack's default."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    session_id: Annotated[str, Field(pattern=SESSION_ID)] | None = None
    """Continues that conversation."""
    level: CefrLevel | None = None
    """The tutor speaks at this level, whatever the estimate says."""
    voice: str | None = None
    """One of `voices` in /api/info."""
    speed: Annotated[float, Field(ge=0.5, le=2)] | None = None
    """Of the voice; 0.7 is slow and clear."""
    correction: CorrectionStyle | None = None
    """How the tutor treats errors."""
    scenario: Annotated[str, Field(max_length=60)] | None = None
    """One of /api/scenarios; the conversation goes on in it. Without it in the one that it is in."""
    learner_id: Annotated[str, Field(pattern=SESSION_ID)] | None = None
    """Who learns: what they said is remembered in their later conversations (docs/learners.md). Without it nothing is
    kept beyond this one."""

    @field_validator("correction", mode="before")  # runs after the one below, which is for all fields
    @classmethod
    def _know_the_style(cls, value: Any) -> Any:
        return value if value is None else known_style(value)

    @field_validator("*", mode="before")
    @classmethod
    def _empty_means_unset(cls, value: Any) -> Any:
        return None if isinstance(value, str) and value.strip() in ("", "auto") else value

    @field_validator("level", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    def changed(self, fields: dict[str, Any]) -> Choice:
        """A copy with `fields` set or, where None, unset.

        Raises:
            InvalidField: an unknown field or an invalid value.
        """
        for name in fields:
            if name not in Choice.model_fields:
                raise InvalidField(did_you_mean("field", name, Choice.model_fields))
        try:
            return Choice.model_validate({**self.model_dump(), **fields})
        except ValidationError as error:
            raise InvalidField(explain(error)) from None


def utterance_of(
    asked: Sound | Typed | TurnKind,
    received_at: float,
    choice: Choice,
    order: Order,
    route: str,
    turn_id: str,
    owner: str,
) -> Utterance:
    """The turn of a client that chose this; without a session id in a new conversation."""
    return Utterance(
        asked.samples if isinstance(asked, Sound) else NO_AUDIO,
        choice.session_id or uuid.uuid4().hex,
        turn_id,
        received_at,
        choice.level,
        choice.voice,
        choice.speed,
        choice.correction,
        order,
        route,
        owner,
        choice.scenario,
        asked if isinstance(asked, str) else "turn",
        asked.text if isinstance(asked, Typed) else "",
        asked.heard if isinstance(asked, Sound) else None,
        learner_id=choice.learner_id,
    )
