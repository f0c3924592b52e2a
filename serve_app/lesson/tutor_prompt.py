"""What the tutor is told: who it is, the learner's level, how to correct, what was said.

The prompt's beginning never changes: the system text and the example exchanges are the
same for every learner and level, and the level stands as a tag before each utterance.
So one warmed prompt cache serves everybody, and a change of level costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from serve_app.config.user_config import TutorPrompt
from serve_app.lesson.conversation import Exchange
from serve_app.package_data import data_file
from serve_app.protocols import Message

DEFAULT_LEVEL = "A2"
"""Assumed until the learner has said enough to tell: easy enough to follow, not yet baby talk."""


@dataclass(frozen=True, slots=True)
class TutorRequest:
    """One utterance to answer, in at most `max_tokens`. `history` is oldest first; `level` None means not yet known."""

    utterance: str
    level: str | None = None
    history: tuple[Exchange, ...] = ()
    max_tokens: int = 90


@cache
def default_prompt() -> TutorPrompt:
    """The prompt that comes with Parle."""
    text = data_file("tutor.json").read_text("utf-8")
    return TutorPrompt.model_validate(json.loads(text))


def transcript_template() -> str:
    """A chat template (Jinja) for base models: the lesson as a written dialogue that the model goes on with."""
    return data_file("transcript.jinja").read_text("utf-8")


def prefix(prompt: TutorPrompt) -> list[Message]:
    """The part of the messages that every conversation shares."""
    messages: list[Message] = [{"role": "system", "content": prompt.system}]
    for example in prompt.examples:
        messages += [_learner_says(example.level, example.learner), {"role": "assistant", "content": example.tutor}]
    return messages


def messages(prompt: TutorPrompt, request: TutorRequest) -> list[Message]:
    """The chat messages that ask for the reply to `request`."""
    said = [*request.history, Exchange(request.utterance, "", request.level)]
    return prefix(prompt) + _dialogue(said)


def history_messages(prompt: TutorPrompt, history: Sequence[Exchange]) -> list[Message]:
    """The prefix of the next request after `history`: what is worth having in the prompt cache."""
    return prefix(prompt) + _dialogue(history)


def _dialogue(exchanges: Sequence[Exchange]) -> list[Message]:
    """Utterances that got no answer join the next one, since chat templates want strict alternation."""
    dialogue: list[Message] = []
    unanswered: list[str] = []
    for number, exchange in enumerate(exchanges, start=1):
        unanswered.append(exchange.learner)
        if exchange.tutor or number == len(exchanges):
            dialogue.append(_learner_says(exchange.level, " ".join(unanswered)))
            unanswered = []
        if exchange.tutor:
            dialogue.append({"role": "assistant", "content": exchange.tutor})
    return dialogue


def _learner_says(level: str | None, text: str) -> Message:
    return {"role": "user", "content": f"[{level or DEFAULT_LEVEL}] {text}"}
