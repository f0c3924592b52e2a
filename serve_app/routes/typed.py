"""An utterance that was typed instead of spoken."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import Any

from serve_app.errors import InvalidField

TYPED_CHARACTERS = 1000
"""Longest typed utterance; a minute of speech has about as many."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What the learner wrote: one line without control characters, at most TYPED_CHARACTERS long."""

    text: str


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
