"""What a turn may answer: a recording, sound, what was typed; or the tutor speaks unasked."""

from __future__ import annotations

import json
import unicodedata
from asyncio import Future
from dataclasses import dataclass
from typing import Any

from serve_app.errors import InvalidField
from serve_app.lesson.kept import TurnKind
from serve_app.protocols import Audio, Transcript

TYPED_CHARACTERS = 1000
"""Longest typed utterance; a minute of speech has about as many."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What the learner wrote: one line without control characters, at most TYPED_CHARACTERS long."""

    text: str


@dataclass(frozen=True, slots=True)
class Sound:
    """What the learner said, mono at 16 kHz; `heard` where it is being transcribed already."""

    samples: Audio
    heard: Future[Transcript] | None = None


Asked = bytes | Sound | Typed | TurnKind
"""Bytes are a recording, in any container. The kinds of a turn other than "turn" are of a tutor that speaks unasked."""


def typed(value: Any) -> Typed:
    """A client's text as an utterance.

    Raises:
        InvalidField: it is no text, empty, or too long.
    """
    if not isinstance(value, str):
        raise InvalidField("text must be a string: what the learner says.")
    seen = "".join(" " if unicodedata.category(sign).startswith(("C", "Z")) else sign for sign in value)
    line = " ".join(unicodedata.normalize("NFC", seen).split())
    if not any(sign.isalnum() for sign in line):
        raise InvalidField("text is empty: send what the learner says.")
    if len(line) > TYPED_CHARACTERS:
        raise InvalidField(f"text may have {TYPED_CHARACTERS} characters; send a shorter one.")
    return Typed(line)


def fields_of_json(body: bytes) -> dict[str, Any]:
    """The fields of a JSON object of plain values; none of an empty body.

    Raises:
        InvalidField: it is no such object.
    """
    try:
        fields = json.loads(body) if body.strip() else {}
        json.dumps(fields, ensure_ascii=False).encode()  # half of a pair of surrogates fails here
    except (ValueError, RecursionError):  # RecursionError: thousands of open brackets
        fields = None
    if not isinstance(fields, dict):
        raise InvalidField('Send a form, or a JSON object such as {"session_id": "ana"}.')
    return plain(fields)


def plain(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, all of them plain values."""
    for name, value in fields.items():
        if not (value is None or isinstance(value, str | int | float)):
            raise InvalidField(f"The field '{name}' must be a plain value.")
    return fields
