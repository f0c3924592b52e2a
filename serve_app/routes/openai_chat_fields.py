"""The fields of POST /v1/chat/completions, and its messages as the language model takes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator

from serve_app.errors import InvalidField, shown
from serve_app.protocols import Message

REFUSED: dict[str, tuple[Any, ...]] = {
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "store": (False,),
    "web_search_options": (),
    "moderation": (),
    "reasoning_effort": ("none",),
}
"""What a small chat model does not do, with the values that ask for nothing."""
IGNORED = (
    "user",
    "metadata",
    "safety_identifier",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "verbosity",
)
"""For OpenAI's own accounts and caches."""

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_TOOLS = "tools cannot be used here"
_Stop = Annotated[str, Field(min_length=1, max_length=100)]


class StreamOptions(BaseModel):
    """`stream_options`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    include_usage: bool = False
    include_obfuscation: bool = False
    """Padding against listeners: never sent."""


class ChatFields(BaseModel):
    """What a client may ask for."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True)

    model: str | None = None
    """A name from /v1/models."""
    messages: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=1000)]
    """Each with `role` (system, developer, user, assistant) and `content`, which is text only."""
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    """At most `limits.chat_tokens` of the stack."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """The older name of the same."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """Without it the stack's, as `top_p` and `seed`."""
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    stop: Annotated[list[_Stop], Field(max_length=4)] = Field(default=[])
    """Texts that end the answer; also one as plain text."""
    stream: bool = False
    """Events while the answer is written."""
    stream_options: StreamOptions = StreamOptions()

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_several(cls, stop: Any) -> Any:
        return [stop] if isinstance(stop, str) else stop

    def most_tokens(self, limit: int) -> int:
        """The longest answer that may be written.

        Raises:
            InvalidField: it is more than `limit`, that of the stack.
        """
        name = "max_completion_tokens" if self.max_completion_tokens is not None else "max_tokens"
        asked = getattr(self, name)
        if asked is not None and asked > limit:
            message = f"{name}: {asked} is more than the {limit} tokens that an answer may have here."
            raise InvalidField(message, code="invalid_value", param=name)
        return limit if asked is None else asked


def as_dialogue(given: list[dict[str, Any]]) -> tuple[Message, ...]:
    """The messages as every chat template takes them: the system's as one, then user and assistant in turn.

    Neighbours of the same role are joined. If the last one is the assistant's, the model goes on from there.

    Raises:
        InvalidField: something else than text, or an order that no template takes.
    """
    system: list[str] = []
    dialogue: list[Message] = []
    for number, message in enumerate(given):
        where = f"messages[{number}]"
        role = _role(message, where)
        text = _text(message, where)
        if role == "system":
            system.append(text)
        elif dialogue and dialogue[-1]["role"] == role:
            dialogue[-1] = {"role": role, "content": f"{dialogue[-1]['content']}\n\n{text}"}
        else:
            dialogue.append({"role": role, "content": text})
    if not dialogue or dialogue[0]["role"] != "user":
        raise _wrong("The first message after those of the system must be the user's.", "messages")
    first: list[Message] = [{"role": "system", "content": "\n\n".join(system)}] if system else []
    return (*first, *dialogue)


def _role(message: dict[str, Any], where: str) -> Literal["system", "user", "assistant"]:
    role = message.get("role")
    if role in ("tool", "function") or message.get("tool_calls") or message.get("function_call"):
        raise _wrong(f"{where}: {_TOOLS}.", where)
    if not isinstance(role, str) or role not in _ROLES:
        raise _wrong(f"{where}.role must be one of: {', '.join(_ROLES)}.", f"{where}.role")
    if message.get("audio"):
        raise _wrong(f"{where}.audio: only text is understood here.", f"{where}.audio")
    return cast(Literal["system", "user", "assistant"], _ROLES[role])


def _text(message: dict[str, Any], where: str) -> str:
    content = message.get("content")
    where = f"{where}.content"
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise _wrong(f"{where} must be text, or a list of parts of the type 'text'.", where)
    parts = []
    for number, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get("text") if isinstance(part, dict) else None
        if kind != "text":
            place = f"{where}[{number}]"
            raise _wrong(f"{place}: only parts of the type 'text' are understood, not '{shown(str(kind))}'.", place)
        if not isinstance(text, str):
            raise _wrong(f"{where}[{number}].text must be text.", f"{where}[{number}].text")
        parts.append(text)
    return "\n".join(parts)


def _wrong(message: str, param: str) -> InvalidField:
    return InvalidField(message, code="invalid_value", param=param)
