"""Does a transcript so far read as if more were coming? By its last words and marks; Portuguese."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from typing import Literal

from serve_app.package_data import data_file

Reading = Literal["hold", "filler", "unfinished", "open", "complete", "question"]
"""hold: the speaker asks for time; filler: "é...", "hum"; unfinished: the last word needs another; open: it may need
one, or the marks say so; complete, question: nothing of these, and how it ends."""

_WORD = re.compile(r"\w+(?:-\w+)*")
_LONGEST = 5
"""Words of the longest phrase in the lists."""


@cache
def listed(name: str) -> frozenset[str]:
    """A list of serve_app/data/turn_taking.toml."""
    [entries] = tomllib.loads(data_file("turn_taking.toml").read_text("utf-8"))[name].values()
    return frozenset(entries)


def words(text: str) -> list[str]:
    """The words in lower case, without marks."""
    return _WORD.findall(text.lower())


def reading(text: str) -> Reading | None:
    """What the end of the text says; None where there are no words."""
    said = words(text)
    if not said:
        return None
    ends = {" ".join(said[-count:]) for count in range(1, min(_LONGEST, len(said)) + 1)}
    asks = text.rstrip().endswith("?")
    if ends & listed("hold"):
        return "hold"
    if asks:
        return "question"
    last = _last_phrase(text)
    if last in listed("filler") and (last != "é" or len(said) == 1 or _trails_off(text)):
        return "filler"
    if ends & listed("strong"):
        return "unfinished"
    if _trails_off(text) or (len(said) > 1 and ends & listed("weak") and not _answers(said)):
        return "open"
    return "complete"


def _last_phrase(text: str) -> str:
    """What stands after the last mark inside the text."""
    return " ".join(words(re.split(r"[,.;:!?…]+", text.rstrip(" .,;:!?…"))[-1]))


def _trails_off(text: str) -> bool:
    end = text.rstrip()
    return end.endswith(("...", "…", ",", "-", "–", ":"))


def _answers(said: list[str]) -> bool:
    """ "Sim, eu tenho" is whole: the verb has its object in the question."""
    return said[0] in {"sim", "não"} and len(said) <= 3
