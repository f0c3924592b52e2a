"""A kept conversation as its owner gets it: JSON, or a text to read."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from serve_app.lesson.kept import KeptConversation, KeptTurn


def as_json(conversation: KeptConversation) -> dict[str, Any]:
    """The answer of GET /api/sessions/ID; see docs/wire.md."""
    turns = conversation.turns
    return {
        "session_id": conversation.session_id,
        "created": _time(conversation.created),
        "last_seen": _time(conversation.seen),
        "stack": conversation.stack,
        "language": next((turn.language for turn in reversed(turns) if turn.language), None),
        "level": next((turn.level for turn in reversed(turns) if turn.level), None),
        "scenario": next((turn.scenario for turn in reversed(turns) if turn.scenario), None),
        "turns": [_turn(turn) for turn in turns],
    }


def as_markdown(conversation: KeptConversation) -> str:
    """The conversation to read or print."""
    lines = [f"# Parle, {_time(conversation.created)[:10]}", ""]
    for turn in conversation.turns:
        level = f" ({turn.level})" if turn.level else ""
        if turn.transcript:
            lines += [f"**Você**{level}: {_line(turn.transcript)}", ""]
        if turn.correction and turn.correction.get("shown", True):
            lines += [f"*{_line(turn.correction['said'])} → {_line(turn.correction['better'])}*", ""]
        if turn.reply:
            lines += [f"**Parle**: {_line(turn.reply)}{' …' if turn.state != 'complete' else ''}", ""]
    return "\n".join(lines)


def _turn(turn: KeptTurn) -> dict[str, Any]:
    return {
        "turn_id": turn.turn_id,
        "began": _time(turn.began),
        "ended": None if turn.ended is None else _time(turn.ended),
        "state": turn.state,
        "transcript": turn.transcript,
        "words": [asdict(word) for word in turn.words],
        "language": turn.language,
        "level": turn.estimate or ({"level": turn.level} if turn.level else None),
        "correction": turn.correction,
        "reply": turn.reply,
        "error": turn.error,
        "timing": turn.timing,
        "kind": turn.kind,
        "scenario": turn.scenario,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _line(text: str) -> str:
    """What somebody said, without what Markdown would take for its own."""
    return " ".join("".join(f"\\{char}" if char in "\\`*_[]<>#|" else char for char in text).split())
