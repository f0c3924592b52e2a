"""What learners say in `bench.tutor_eval`, and what a reply to it must hold.

Conversations of eight utterances, A1 to C1, by learners with many first languages: errors that are usual for them, good
and bad news, questions about words and about what was said before, goodbyes. Not recordings: written by hand as a
transcriber would write them down, by somebody who did not know the planner's rules. A change of the planner or of a
prompt is tried on the first twenty ("development"). The next twenty ("held-out") have been looked at since; the next
twenty ("unseen") were run once, on an earlier tutor, and have been studied since. The next twenty-four ("blind") are by
somebody who had seen neither the rules nor the other conversations; what an answer must hold was added by us. The last
twenty-four ("blind2") as well, but what a reply must hold is by the same hand, with a reply that holds it, and an error
is mended whether the reply speaks of "eu" or "você".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from serve_app.protocols import CefrLevel

FILE = Path(__file__).parent / "data/tutor_conversations.json"
UNSEEN = FILE.with_name("tutor_conversations_unseen.json")
BLIND = FILE.with_name("tutor_conversations_blind.json")
BLIND2 = FILE.with_name("tutor_conversations_blind2.json")

Part = Literal["development", "held-out", "unseen", "blind", "blind2"]

Kind = Literal["say", "meaning", "difference", "grammar", "tutor", "memory", "request", "fact", "advice", "goodbye"]
"""What a line asks for: a word ("como se diz"), what one means, the difference between two, a rule of grammar or style;
something of the tutor; what was said before; that the tutor do something; something of the world; advice; leave."""


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance. `right` and `answer` are regular expressions.

    `right` matches what shows an error mended; where a sentence has several errors, one of them is enough, as teachers
    correct selectively. `answer` matches what an answer to the question must hold. `fact` is something that the
    learner asks for later in the conversation. `example` is a good reply among many, that the checks must let through.
    """

    said: str
    right: str | None = None
    answer: str | None = None
    bad_news: bool = False
    fact: str | None = None
    kind: Kind | None = None
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A learner who stays at `level` and says each line whatever the tutor answers."""

    name: str
    level: CefrLevel
    first_language: str
    lines: tuple[Line, ...]
    held_out: bool = False

    def asks_for_fact(self, line: Line) -> bool:
        """Whether the answer was given by the learner earlier in the conversation."""
        if line.answer is None:
            return False
        before = self.lines[: self.lines.index(line)]
        return any(earlier.fact and re.search(line.answer, earlier.fact, re.IGNORECASE) for earlier in before)


@cache
def _all(file: Path) -> tuple[Conversation, ...]:
    return TypeAdapter(tuple[Conversation, ...]).validate_json(file.read_bytes())


def conversations(part: Part) -> tuple[Conversation, ...]:
    """Twenty conversations, of the last two parts twenty-four."""
    if file := {"unseen": UNSEEN, "blind": BLIND, "blind2": BLIND2}.get(part):
        return _all(file)
    return tuple(one for one in _all(FILE) if one.held_out == (part == "held-out"))
