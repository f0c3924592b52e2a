"""Turns and conversations as rows of the tables, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping

from serve_app.lesson.kept import KeptConversation, KeptTurn
from serve_app.protocols import Word


def row_of(turn: KeptTurn) -> dict[str, Any]:
    """The columns that a turn fills."""
    return {
        "turn_id": turn.turn_id[:100],
        "began": turn.began,
        "ended": turn.ended,
        "state": turn.state,
        "error": turn.error,
        "transcript": _storable(turn.transcript),
        "words": [{**asdict(word), "text": _storable(word.text)} for word in turn.words],
        "language": turn.language,
        "level": turn.level,
        "estimate": turn.estimate,
        "correction": turn.correction,
        "reply": _storable(turn.reply),
        "timing": turn.timing,
        "kind": turn.kind,
        "scenario": turn.scenario,
    }


def turn_of(row: RowMapping) -> KeptTurn:
    return KeptTurn(
        row["turn_id"],
        row["began"],
        row["transcript"],
        tuple(Word(**word) for word in row["words"]),
        row["language"],
        row["level"],
        row["estimate"],
        row["correction"],
        row["reply"],
        row["state"],
        row["error"],
        row["ended"],
        row["timing"],
        row["kind"],
        row["scenario"],
    )


def conversation_of(row: RowMapping, turns: Sequence[RowMapping]) -> KeptConversation:
    return KeptConversation(row["id"], row["stack"], row["created"], row["seen"], tuple(map(turn_of, turns)))


def owner_of(conversation_id: str) -> str:
    """The name of the key that a conversation belongs to, "" where none is needed."""
    return conversation_id.rpartition("/")[0]


def _storable(text: str) -> str:
    """PostgreSQL takes no zero bytes, and no database half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
