"""The first words of a reply, written here and not by a model, so that they fit the mood and can be spoken at once.

The voice keeps their sound (see serve_app.tts), so they cost no synthesis.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache

from serve_app.package_data import data_file
from serve_app.protocols import LEVELS

LATELY = 5
"""An opening is not said again within so many replies, as far as there are others."""


USUAL = ("neutral", "glad", "sad", "question")
"""The kinds of utterance that most turns are."""


@cache
def openings() -> dict[str, list[str]]:
    """The openings of each kind of utterance, see `serve_app.teaching.utterance_kind`.

    "sad B" are those of "sad" for learners at B1, "sad C" those for B2 and higher.
    """
    return json.loads(data_file("teaching/openings.json").read_text("utf-8"))


def openings_for(kind: str, level: str) -> list[str]:
    """The openings of a kind in the words of a level."""
    words = "C" if level > "B1" else level[:1]
    return openings().get(f"{kind} {words}", openings()[kind])


def all_openings() -> list[str]:
    return [opening for of_kind in openings().values() for opening in of_kind]


def by_need() -> Iterator[tuple[str, str]]:
    """Every opening with each level that hears it: the usual ones of a beginner first, the rare kinds last."""
    for kind in dict.fromkeys((*USUAL, *(kind.split()[0] for kind in openings()))):
        for level in sorted(LEVELS, key=lambda level: level != "A2"):
            yield from ((opening, level) for opening in openings_for(kind, level))


def fresh(choices: Sequence[str], replies: Sequence[str], lately: int = LATELY, said: str = "") -> str:
    """The first of `choices` that none of the latest replies (oldest first) holds, else the one longest unsaid.

    Each conversation begins with another one: which, is decided by what the learner `said`, then by the first reply.
    """
    start = sum(map(ord, replies[0] if replies else said)) % len(choices)
    turned = [*choices[start:], *choices[:start]]

    def last_said(choice: str) -> int:
        return max((number for number, reply in enumerate(replies) if choice in reply), default=-1)

    unsaid = [choice for choice in turned if last_said(choice) < len(replies) - lately]
    return unsaid[0] if unsaid else min(turned, key=last_said)


def of_replies(replies: Sequence[str]) -> Iterator[str]:
    """The openings that the replies begin with."""
    for reply in replies:
        yield from (opening for opening in all_openings() if reply.startswith(opening))
