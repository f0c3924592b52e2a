"""A learner as their owner gets it: JSON, and cards for Anki."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from serve_app.learner.model import Item, Learner
from serve_app.teaching.lemmas import zipf

ANKI_HEAD = "#separator:tab\n#html:false\n#columns:Front\tBack\tTags\n#tags column:3\n"
"""https://docs.ankiweb.net/importing/text-files.html#file-headers"""


def as_json(learner_id: str, learner: Learner, now: float) -> dict[str, Any]:
    """The answer of GET /api/learners/ID; see docs/wire.md."""
    return {
        "learner_id": learner_id,
        "created": _time(learner.created),
        "last_seen": _time(learner.seen),
        "level": learner.levels[-1].level if learner.levels else None,
        "levels": [{"at": _time(one.at), "level": one.level} for one in learner.levels],
        "due": [item.key for item in learner.due(now)],
        "items": [_item(item) for item in learner.items.values()],
        "facts": [{"id": one.id, "text": one.text, "told": _time(one.told)} for one in learner.facts],
        "words": [
            {
                "word": word,
                "zipf": zipf(word),
                "first": _time(use.first),
                "last": _time(use.last),
                "times": use.times,
                "right": use.right,
            }
            for word, use in reversed(list(learner.words.items()))
        ],
    }


def as_anki(learner: Learner) -> str:
    """A text file that Anki imports: one card a line, what is asked, what is right, and a tag."""
    return ANKI_HEAD + "".join("\t".join(map(_cell, _card(item))) + "\n" for item in learner.items.values())


def _card(item: Item) -> tuple[str, str, str]:
    if item.kind == "word":
        return (item.said or f"Uma frase com: {item.use}", item.use, "parle palavra")
    right = item.better or item.use
    back = f"{right} ({item.message})" if item.message else right
    if item.sentence and (at := item.sentence.lower().find(right.lower())) >= 0:
        gap = f"{item.sentence[:at]}___{item.sentence[at + len(right) :]} ({item.said})"
        return gap, back, f"parle {item.rule}".strip()
    return item.said, back, f"parle {item.rule}".strip()


def _item(item: Item) -> dict[str, Any]:
    return {
        "key": item.key,
        "kind": item.kind,
        "use": item.use,
        "said": item.said,
        "better": item.better,
        "rule": item.rule,
        "message": item.message,
        "sentence": item.sentence,
        "first": _time(item.first),
        "last": _time(item.last),
        "right": item.right,
        "wrong": item.wrong,
        "saved": item.saved,
        "due": _time(item.schedule.due),
        "stability_days": round(item.schedule.stability, 2),
    }


def _cell(text: str) -> str:
    """Without what Anki would take for the end of a field or line, or for a comment."""
    plain = " ".join(text.split()).replace('"', "'")
    return f" {plain}" if plain.startswith("#") else plain


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
