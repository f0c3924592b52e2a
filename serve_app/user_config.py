"""`user_config` of each deployment, typed: what may change in place while the stack serves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from serve_app.protocols import Sampling
from serve_app.stack import Limits, Strict, unknown
from serve_app.tutor import CefrLevel, TutorPrompt


class SttSettings(Strict):
    """`user_config` of SpeechToText."""

    language: str = "pt"
    prompt: str | None = None
    """Text that Whisper takes for what was said before: names and words to expect."""


class CefrSettings(Strict):
    """`user_config` of CefrClassifier."""

    utterances: Annotated[int, Field(ge=1, le=20)] = 10
    """How many of the learner's latest utterances an estimate rests on."""


_SAMPLING = Sampling()


class SamplingSettings(Strict):
    """How the tutor's tokens are drawn; the reply's length is `limits.reply_tokens`."""

    temperature: Annotated[float, Field(ge=0, le=2)] = _SAMPLING.temperature
    top_p: Annotated[float, Field(gt=0, le=1)] = _SAMPLING.top_p
    repeat_penalty: Annotated[float, Field(ge=1, le=2)] = _SAMPLING.repeat_penalty
    seed: int | None = None


class LlmSettings(Strict):
    """`user_config` of TutorLLM."""

    prompt: TutorPrompt | None = None
    sampling: SamplingSettings = SamplingSettings()


class TtsSettings(Strict):
    """`user_config` of TextToSpeech: what is used where the client names nothing."""

    voice: str | None = None
    speed: Annotated[float, Field(ge=0.5, le=2)] = 1.0


class IngressSettings(Strict):
    """`user_config` of Ingress."""

    level: CefrLevel | None = None
    """Level for learners of whom nothing is known yet; A2 where none is given."""
    limits: dict[str, float] = Field(default_factory=dict)
    """Limits that replace those of `args.limits`."""

    @field_validator("limits")
    @classmethod
    def _know_every_limit(cls, limits: dict[str, float]) -> dict[str, float]:
        for name in limits:
            if name not in Limits.model_fields:
                raise ValueError(unknown("limit", name, list(Limits.model_fields)))
        Limits.model_validate(limits)
        return limits


SETTINGS: dict[str, type[Strict]] = {
    "SpeechToText": SttSettings,
    "CefrClassifier": CefrSettings,
    "TutorLLM": LlmSettings,
    "TextToSpeech": TtsSettings,
    "Ingress": IngressSettings,
}
"""The deployments of the graph and what their `user_config` takes."""
