"""The types of each deployment's `user_config`: settings that can change while the stack serves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import Field, ValidationError, field_validator

from serve_app.config.limits import Limits
from serve_app.config.strict import Strict, explain
from serve_app.errors import StackError, did_you_mean
from serve_app.protocols import CefrLevel, Sampling


class SttSettings(Strict):
    """`user_config` of SpeechToText."""

    language: str = "pt"
    prompt: str | None = None
    """Text that Whisper takes as said before: names and words to expect."""
    others: list[str] = Field(default_factory=lambda: ["en", "es"])
    """Languages that are written as they are where somebody clearly speaks them, not pressed into `language`."""
    learner_errors: bool = True
    """Whether a likely error of a learner is written as it was said, where Whisper would write the right form."""


class CefrSettings(Strict):
    """`user_config` of CefrClassifier."""

    utterances: Annotated[int, Field(ge=1, le=20)] = 10
    """How many of the learner's latest utterances an estimate uses."""


_SAMPLING = Sampling()


class SamplingSettings(Strict):
    """Sampling of the tutor's tokens; the reply's length is `limits.reply_tokens`."""

    temperature: Annotated[float, Field(ge=0, le=2)] = _SAMPLING.temperature
    top_p: Annotated[float, Field(gt=0, le=1)] = _SAMPLING.top_p
    repeat_penalty: Annotated[float, Field(ge=1, le=2)] = _SAMPLING.repeat_penalty
    seed: int | None = None


class ExampleExchange(Strict):
    """An example exchange shown to the LLM before the lesson."""

    level: CefrLevel
    learner: str
    tutor: str


class TutorPrompt(Strict):
    """The tutor's prompt; `user_config.prompt` of TutorLLM replaces the default."""

    system: str
    """The tutor's role and style; small models follow instructions in English best, also about Portuguese."""
    examples: list[ExampleExchange] = Field(default_factory=list)
    """Exchanges that show the style; small models follow these more than the system text."""


class LlmSettings(Strict):
    """`user_config` of TutorLLM."""

    prompt: TutorPrompt | None = None
    sampling: SamplingSettings = SamplingSettings()


class TtsSettings(Strict):
    """`user_config` of TextToSpeech: the defaults for clients that choose nothing."""

    voice: str | None = None
    speed: Annotated[float, Field(ge=0.5, le=2)] | None = None
    """None: the learner's level decides, see `serve_app/teaching/level_style.py`."""
    pieces: Literal["due", "arrival"] = "due"
    """In which order the pieces of several replies are made: first for whom there is nothing left to hear, or as they
    came."""
    openings_ahead: bool = True
    """Synthesise the openings of replies while nobody speaks, so that no reply has to wait for one."""


CorrectionStyle = Literal["recast", "prompt", "explicit", "none"]
"""recast: the tutor says it right in passing; prompt: asks which form is right; explicit: says so; none: nothing."""


def known_style(style: Any) -> Any:
    """The style as it is.

    Raises:
        ValueError: an unknown style; names the nearest known one.
    """
    if style not in get_args(CorrectionStyle):
        raise ValueError(did_you_mean("style", str(style), get_args(CorrectionStyle)))
    return style


class TeachingSettings(Strict):
    """What rules decide of the tutor's reply; what is off is left to the LLM, of which a large one needs less help."""

    openings: bool = True
    """The first words: fitting the mood, not said lately, and spoken at once."""
    recast: bool = True
    """What the learner said, said back without its errors."""
    questions: bool = True
    """Which words the tutor's question may begin with, so that questions vary."""
    follow_ups: bool = False
    """The tutor's question comes from a list by topic, for a model whose own questions are poor."""
    correction: CorrectionStyle = "recast"
    """For learners who choose nothing."""
    scenarios_folder: Path | None = None
    """A folder of scenario files of your own beside those that ship with Parle."""

    @field_validator("correction", mode="before")
    @classmethod
    def _know_the_style(cls, style: Any) -> Any:
        return known_style(style)


class TurnTakingSettings(Strict):
    """When a hands-free learner has finished, and what interrupts the tutor; for clients that choose nothing."""

    patience: dict[CefrLevel, Annotated[float, Field(ge=0.3, le=5)]] = Field(default_factory=dict)
    """Seconds of the longest pause, by level, where neither words nor sound tell whether more comes; a level that is
    not named keeps its default."""
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    """low waits 1.4 times as long, high .7 times; auto is medium."""
    threshold: Annotated[float, Field(ge=0.1, le=0.95)] = 0.5
    """Probability of a voice from which the detector hears one; higher where it is loud."""
    interrupt_ms: Annotated[int, Field(ge=100, le=2000)] = 250
    """Voice over the tutor's that interrupts it."""


class IngressSettings(Strict):
    """`user_config` of Ingress."""

    level: CefrLevel | None = None
    """Level assumed for new learners; A2 if not given."""
    teaching: TeachingSettings = TeachingSettings()
    turn_taking: TurnTakingSettings = TurnTakingSettings()
    limits: dict[str, float] = Field(default_factory=dict)
    """Limits that replace those of `args.limits`."""

    @field_validator("limits")
    @classmethod
    def _know_every_limit(cls, limits: dict[str, float]) -> dict[str, float]:
        for name in limits:
            if name not in Limits.model_fields:
                raise ValueError(did_you_mean("limit", name, Limits.model_fields))
        try:
            Limits.model_validate(limits)
        except ValidationError as error:
            raise ValueError(explain(error)) from None
        return limits


SETTINGS: dict[str, type[Strict]] = {
    "SpeechToText": SttSettings,
    "CefrClassifier": CefrSettings,
    "TutorLLM": LlmSettings,
    "TextToSpeech": TtsSettings,
    "Ingress": IngressSettings,
}
"""The deployments of the graph and the types of their `user_config`."""

Settings = TypeVar("Settings", bound=Strict)


def settings(kind: type[Settings], user_config: dict[str, Any] | None) -> Settings:
    """Validate the `user_config` of a deployment.

    Raises:
        StackError: an unknown key or an invalid value.
    """
    try:
        return kind.model_validate(user_config or {})
    except ValidationError as error:
        raise StackError(f"user_config: {explain(error)}") from None
