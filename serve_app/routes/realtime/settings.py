"""A client's session: what it may choose, as `session.update` changes it and `session.created` shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from serve_app.config.user_config import TurnTakingSettings
from serve_app.errors import InvalidField, shown
from serve_app.protocols import CefrLevel
from serve_app.routes.openai_speech import THEIR_VOICES
from serve_app.routes.realtime.formats import RATES, Format
from serve_app.turn_taking.settings import Eagerness, TurnSettings, settings_for


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class AudioFormat(_Part):
    type: Format = "audio/pcm"
    rate: int | None = None

    @model_validator(mode="after")
    def _of_its_type(self) -> AudioFormat:
        """A client that sends another rate would be heard at the wrong speed."""
        if self.rate not in (None, RATES[self.type]):
            raise ValueError(f"{self.type} has a rate of {RATES[self.type]}")
        return self

    def view(self) -> dict[str, Any]:
        return {"type": self.type, "rate": 24_000} if self.type == "audio/pcm" else {"type": self.type}


class TurnDetection(_Part):
    """When the learner has finished; the fields of the other type are ignored."""

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Field(ge=0, le=5000)] = 300
    silence_duration_ms: Annotated[int, Field(ge=0, le=10_000)] = 500
    eagerness: Eagerness = "auto"
    create_response: bool = True
    interrupt_response: bool = True

    def settings(self, stack: TurnTakingSettings, level: CefrLevel | None) -> TurnSettings:
        """The client's choices over those of the stack, whose `auto` is."""
        chosen = settings_for(stack, level or TurnSettings().level)
        if self.type == "semantic_vad":
            return chosen if self.eagerness == "auto" else replace(chosen, eagerness=self.eagerness)
        return replace(
            chosen,
            mode=self.type,
            threshold=self.threshold,
            prefix_padding_ms=self.prefix_padding_ms,
            silence_duration_ms=self.silence_duration_ms,
        )

    def view(self) -> dict[str, Any]:
        of = {"create_response": self.create_response, "interrupt_response": self.interrupt_response}
        if self.type == "semantic_vad":
            return {"type": self.type, "eagerness": self.eagerness, **of}
        return {
            "type": self.type,
            "threshold": self.threshold,
            "prefix_padding_ms": self.prefix_padding_ms,
            "silence_duration_ms": self.silence_duration_ms,
            "idle_timeout_ms": None,
            **of,
        }


class Transcription(_Part):
    model: str | None = None
    language: str | None = None


class Input(_Part):
    format: AudioFormat = AudioFormat()
    transcription: Transcription | None = Transcription()
    turn_detection: TurnDetection | None = TurnDetection()


class Output(_Part):
    format: AudioFormat = AudioFormat()
    voice: str | None = None
    speed: Annotated[float, Field(ge=0.25, le=1.5)] | None = None


class Sounds(_Part):
    input: Input = Input()
    output: Output = Output()


class RealtimeSettings(_Part):
    """What is honoured of a session. `instructions` is shown, but the tutor's prompt is the operator's."""

    type: Literal["realtime"] = "realtime"
    output_modalities: Annotated[list[Literal["audio", "text"]], Field(min_length=1, max_length=1)] = ["audio"]
    instructions: Annotated[str, Field(max_length=100_000)] = ""
    audio: Sounds = Sounds()

    def changed(self, change: Any, of: str = "session") -> RealtimeSettings:
        """A copy with `change` merged in, deep; null is the default, or none where there may be none.

        Raises:
            InvalidField: a value cannot be; `param` says which, in `of`.
        """
        if not isinstance(change, dict):
            raise InvalidField(f"{of} must be an object.", code="invalid_value", param=of)
        with _wrong_values(of):
            return RealtimeSettings.model_validate(_merged(self.model_dump(), change))

    @property
    def silent(self) -> bool:
        """Whether the client wants text alone."""
        return self.output_modalities == ["text"]

    @property
    def voice(self) -> str | None:
        """One of the stack's voices; None is its own, for which OpenAI's names stand too."""
        voice = self.audio.output.voice
        return None if voice in THEIR_VOICES else voice

    @property
    def speed(self) -> float | None:
        speed = self.audio.output.speed
        return None if speed is None else max(0.5, speed)

    def view(self, session_id: str, model: str) -> dict[str, Any]:
        """As the protocol shows it; `session_id` is Parle's, with which a client comes back."""
        heard, spoken = self.audio.input, self.audio.output
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": f"sess_{session_id}",
            "model": model,
            "output_modalities": self.output_modalities,
            "instructions": self.instructions,
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "audio": {
                "input": {
                    "format": heard.format.view(),
                    "transcription": heard.transcription.model_dump(exclude_none=True) if heard.transcription else None,
                    "noise_reduction": None,
                    "turn_detection": heard.turn_detection.view() if heard.turn_detection else None,
                },
                "output": {
                    "format": spoken.format.view(),
                    "voice": spoken.voice or "alloy",
                    "speed": spoken.speed or 1.0,
                },
            },
        }


class _Asked(_Part):
    """Of `response.create`, with OpenAI's limits."""

    metadata: (
        Annotated[
            dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)
        ]
        | None
    ) = None


def asked_of(response: Any, session: RealtimeSettings) -> tuple[RealtimeSettings, dict[str, str] | None]:
    """The settings and the metadata of one answer, as `response.create` asks for it.

    Raises:
        InvalidField: a value cannot be; `param` says which.
    """
    response = {} if response is None else response
    if not isinstance(response, dict):
        raise InvalidField("response must be an object.", code="invalid_value", param="response")
    with _wrong_values("response"):
        metadata = _Asked.model_validate(response).metadata
    change = {name: response[name] for name in ("output_modalities", "audio") if response.get(name) is not None}
    return session.changed(change, of="response"), metadata


@contextmanager
def _wrong_values(of: str) -> Iterator[None]:
    """Tells a client which of its values cannot be."""
    try:
        yield
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        param = ".".join([of, *(shown(str(part)) for part in fault["loc"])])
        why = fault["msg"].removeprefix("Value error, ")
        raise InvalidField(f"{param}: {why}", code="invalid_value", param=param) from None


_MAY_BE_NONE = {("audio", "input", "transcription"), ("audio", "input", "turn_detection")}


def _merged(into: dict[str, Any], change: Mapping[str, Any], at: tuple[str, ...] = ()) -> dict[str, Any]:
    merged = dict(into)
    for name, value in change.items():
        here = (*at, name)
        if value is None and here not in _MAY_BE_NONE:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = _merged(merged[name], value, here)
        else:
            merged[name] = value
    return merged


assert set(RATES) == set(Format.__args__)  # every format has a rate
