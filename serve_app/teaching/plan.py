"""What is decided of a reply, and what it is decided from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from serve_app.protocols import ReplyForm
from serve_app.teaching.correction import Correction
from serve_app.teaching.memory import NOTHING, Memory
from serve_app.teaching.openings import fresh, openings_for
from serve_app.teaching.utterance_kind import Kind

QUESTION_WORDS = (
    *("Onde você", "Quando você", "Por que você", "O que você", "Como você", "Com quem você", "Quem", "Qual é", "Você"),
)
"""With "você", since a small model likes to ask "Como posso ajudar?" and "O que mais gostaria de saber?"."""
LATELY = 4
"""A question does not begin with a word that began one of so many questions before."""
OPINION = re.compile(
    r"\b(?:acho|penso|acredito|opinião|concordo|discordo|deveria\w*|devia\w*|prefiro|importante|duvido|duvida)\b",
    re.IGNORECASE,
)
"""Words of one who gives an opinion: "I see your point" fits then, and hardly anywhere else."""

_QUESTION = re.compile(r"[^.!?…]*\?")
_NAME = re.compile(r"\b(?:[Mm]eu nome é|[Mm]e chamo|[Ee]u chamo|[Ee]u sou(?: [oa])?) ([A-ZÀ-Ú][\wÀ-ú]+)")


@dataclass(frozen=True, slots=True)
class Plan:
    """The reply as far as it is decided.

    `opening` is spoken first; `begin` begins with it and is what the model goes on from, in the form `form` (None: as
    it likes). `whole`: `begin` is all of the reply, and no model is asked. `end` comes after what the model wrote.
    """

    kind: Kind
    opening: str = ""
    begin: str = ""
    form: ReplyForm | None = None
    whole: bool = False
    end: str = ""


@dataclass(frozen=True, slots=True)
class Role:
    """What the tutor's role in a scenario gives to a reply."""

    question: str
    """What the reply ends with, in place of a question by topic."""
    say: str = ""
    """What comes before it: an answer, or what is said of a step that was done."""
    reactions: tuple[str, ...] = ()
    """First words in the role."""
    acted: bool = True
    """Whether the tutor is somebody else; an LLM then may add a sentence in the role."""
    closes: bool = False
    """Whether the scene is over: `question` then is how it ends."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a plan is made from. `corrected` is the utterance without the errors that were found, else the same.

    `replies` are the tutor's earlier ones and `utterances` the learner's, oldest first.
    """

    utterance: str
    corrected: str
    level: str
    replies: tuple[str, ...] = ()
    utterances: tuple[str, ...] = ()
    error: Correction | None = None
    """The error to speak of."""
    style: str = "recast"
    """How: see CorrectionStyle in serve_app.config.user_config."""
    role: Role | None = None
    """In a scenario."""
    memory: Memory = NOTHING
    """What is known of the learner from before."""
    sure: str | None = None
    """The utterance with "…" for what was heard badly; None: all of it was heard well."""


def pleased(utterance: str) -> str:
    """The answer to somebody who says their name; "" where nobody does."""
    name = _NAME.search(utterance)
    return f"Prazer, {name[1]}!" if name else ""


def opening_for(kind: Kind, said: Said) -> str:
    of_kind = "opinion" if kind == "neutral" and OPINION.search(said.utterance) else kind
    return fresh(openings_for(of_kind, said.level), said.replies, said=said.utterance)


def question_form(said: Said, *, sentence: bool = False) -> ReplyForm:
    """How the model goes on: the rest of a sentence if `sentence`, then a question that begins as none did lately."""
    asked = [question.strip() for reply in said.replies[-LATELY:] for question in _QUESTION.findall(reply)]
    by_length = sorted(QUESTION_WORDS, key=len, reverse=True)
    begun = {next((word for word in by_length if question.startswith(word)), "") for question in asked}
    return ReplyForm(sentence, tuple(word for word in QUESTION_WORDS if word not in begun))
