"""A sheet of replies for a person to judge, and how far the mechanical checks agree with the person.

One JSON object a line. The person writes true or false into `grammatical` (would a careful speaker say it?) and `fits`
(does it answer what was said, as a teacher would?), and into `disagree` the names of checks in `faults` that are wrong.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from .tutor_replies import Reply

UNFIT = (
    "opening repeated",
    "question repeated",
    "first-person echo",
    "cheerful answer to bad news",
    "bad news without sympathy",
    "question without an answer",
    "other languages",
    "parts of the prompt",
)
"""A reply with one of these does not fit, say the checks."""

UNGRAMMATICAL = ("verb in the wrong person", "other languages", "parts of the prompt")
"""Few: most of what is wrong in a sentence cannot be told without understanding it."""


class Row(BaseModel):
    """One reply on the sheet; `before` is what the tutor said last."""

    model_config = ConfigDict(extra="forbid")

    conversation: str
    before: str
    said: str
    reply: str
    faults: dict[str, bool]
    grammatical: bool | None = None
    fits: bool | None = None
    disagree: list[str] = []


def sheet(replies: Sequence[Reply], count: int, seed: int = 1) -> str:
    """`count` of the replies, drawn by chance, as JSON lines to be filled in."""
    rows = []
    for number in sorted(random.Random(seed).sample(range(len(replies)), min(count, len(replies)))):
        reply, last = replies[number], replies[number - 1] if number else None
        before = last.text if last and last.conversation is reply.conversation else ""
        rows.append(
            Row(
                conversation=reply.conversation.name,
                before=before,
                said=reply.line.said,
                reply=reply.text,
                faults=reply.faults,
            )
        )
    return "".join(json.dumps(row.model_dump(), ensure_ascii=False) + "\n" for row in rows)


def agreement(path: Path) -> dict[str, float]:
    """Shares in a sheet that was filled in, in which every row has `grammatical` and `fits`.

    Raises:
        ValueError: a row is not filled in, or names a check that it does not have.
    """
    rows = [Row.model_validate_json(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    for number, row in enumerate(rows, start=1):
        if row.grammatical is None or row.fits is None:
            raise ValueError(f"{path}, line {number}: fill in grammatical and fits")
        if unknown := set(row.disagree) - set(row.faults):
            raise ValueError(f"{path}, line {number}: no such checks: {', '.join(sorted(unknown))}")
    checked = [(name, name not in row.disagree) for row in rows for name in row.faults]
    figures = {
        "replies": float(len(rows)),
        "grammatical": _share([row.grammatical is True for row in rows]),
        "fits": _share([row.fits is True for row in rows]),
        "checks and person agree whether it fits": _share([row.fits is not _has(row, UNFIT) for row in rows]),
        "of those that the checks pass, fit": _share([row.fits is True for row in rows if not _has(row, UNFIT)]),
        "of those that the checks do not pass, unfit": _share([row.fits is False for row in rows if _has(row, UNFIT)]),
        "of those that the checks call ungrammatical, are": _share(
            [row.grammatical is False for row in rows if _has(row, UNGRAMMATICAL)]
        ),
        "of the ungrammatical, found by the checks": _share(
            [_has(row, UNGRAMMATICAL) for row in rows if row.grammatical is False]
        ),
        "single checks that are right": _share([right for _, right in checked]),
    }
    for name in dict.fromkeys(name for name, _ in checked):
        figures[f"right: {name}"] = _share([right for of, right in checked if of == name])
    return figures


def _has(row: Row, names: Sequence[str]) -> bool:
    return any(row.faults.get(name, False) for name in names)


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else 0.0
