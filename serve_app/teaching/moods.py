"""Whether an utterance tells good or bad news, decided by words from `data/teaching/moods.json`.

Words that sound bad are no bad news where they are denied ("não está mais doente"), told of a film or of one's work
("cuido de pessoas com câncer"), or where it ended well ("o cachorro fugiu, mas já voltou"). Where the words do not show
a mood there is none: a neutral opening fits then, a wrong one hurts.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from serve_app.package_data import data_file

Mood = Literal["grave", "sad", "glad", "neutral"]
"""grave: death, illness, violence, a job lost. sad: other bad news."""

_CLAUSE = re.compile(r"[.!?;,:]|\b(?:e|mas|que|porque|então)\b")
DENIED_WITHIN = 24
"""Characters between a denial and what it denies, in one clause."""


@dataclass(frozen=True, slots=True)
class _Signs:
    grave: re.Pattern[str]
    sad: re.Pattern[str]
    mild: re.Pattern[str]
    no_mood: re.Pattern[str]
    told: re.Pattern[str]
    resolved: re.Pattern[str]
    turned: re.Pattern[str]
    happy: re.Pattern[str]
    negation: re.Pattern[str]
    glad: re.Pattern[str]
    not_glad: re.Pattern[str]


@cache
def _signs() -> _Signs:
    data = json.loads(data_file("teaching/moods.json").read_text("utf-8"))
    parts: dict[str, str] = data.pop("parts")

    def pattern(written: str | list[str]) -> re.Pattern[str]:
        joined = "|".join([written] if isinstance(written, str) else written)
        for name, words in parts.items():
            joined = joined.replace(f"{{{name}}}", words)
        return re.compile(rf"\b(?:{joined})\b" if not joined.startswith(r"\b") else joined)

    return _Signs(**{name.replace(" ", "_"): pattern(written) for name, written in data.items()})


def mood_of(utterance: str) -> Mood:
    """The mood of a statement. What is only imagined ("se eu perder o emprego") is no news."""
    said, signs = utterance.lower(), _signs()
    if re.match(r"\W*se\b", said):
        return "neutral"
    plain = signs.no_mood.sub(" ", said)
    moods = {mood for mood, sign in (("grave", signs.grave), ("sad", signs.sad)) if _tells(sign, plain)}
    if moods and not signs.resolved.search(said):
        if "grave" in moods:
            return "grave"
        return "neutral" if signs.happy.search(said) and not signs.turned.search(said) else "sad"
    if not moods and _tells(signs.mild, plain) and not signs.turned.search(said) and not signs.happy.search(said):
        return "sad"
    glad = not moods and signs.glad.search(said) and not signs.not_glad.search(said)
    return "glad" if glad else "neutral"


def sure_mood(utterance: str, sure: str | None) -> Mood:
    """The mood of a statement if what was heard well (`sure`; None: all of it) has one too, else "neutral".

    A doubtful "não" must not turn bad news into good ones, nor a doubtful word make any.
    """
    mood = mood_of(utterance)
    if mood == "neutral" or sure is None or sure == utterance:
        return mood
    return mood if mood_of(sure) == mood else "neutral"


def _tells(sign: re.Pattern[str], said: str) -> bool:
    """Whether a sign is there that is not denied and not told of others."""
    signs = _signs()
    return any(
        not _denied(said, found.start()) and not signs.told.search(said[: found.start()])
        for found in sign.finditer(said)
    )


def _denied(said: str, at: int) -> bool:
    clause = _CLAUSE.split(said[:at])[-1]
    return _signs().negation.search(clause[-DENIED_WITHIN:]) is not None
