"""Builds the tutor's chat messages: system prompt, examples, history, the new utterance.

The start of the prompt (system text and examples) is the same for every learner and level; the level is a tag before
each utterance. So one warmed prompt cache serves all conversations, and a change of level costs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from serve_app.config.user_config import TutorPrompt
from serve_app.lesson.conversation import Exchange
from serve_app.package_data import data_file
from serve_app.protocols import Message, ReplyForm

UNASKED = "..."
"""What the learner said where the tutor spoke first: chat templates need alternation."""
DEFAULT_LEVEL = "A2"
"""Used until there is an estimate: easy to follow without being childish."""


@dataclass(frozen=True, slots=True)
class TutorRequest:
    """One utterance to answer in at most `max_tokens`. `history` is oldest first; `level` None: not known yet.

    `begin` is the beginning of the reply, from which the model goes on in the form `form`. Requests of one
    `conversation_id` go to the same replica, whose prompt cache holds the conversation.
    """

    utterance: str
    level: str | None = None
    history: tuple[Exchange, ...] = ()
    max_tokens: int = 90
    begin: str = ""
    form: ReplyForm | None = None
    conversation_id: str = ""


@cache
def default_prompt() -> TutorPrompt:
    """The prompt that ships with Parle."""
    text = data_file("tutor.json").read_text("utf-8")
    return TutorPrompt.model_validate(json.loads(text))


def transcript_template() -> str:
    """A chat template (Jinja) for base models: the lesson as a written dialogue that the model continues."""
    return data_file("transcript.jinja").read_text("utf-8")


def prefix(prompt: TutorPrompt) -> list[Message]:
    """The messages that every conversation begins with."""
    messages: list[Message] = [{"role": "system", "content": prompt.system}]
    for example in prompt.examples:
        messages += [_learner_says(example.level, example.learner), {"role": "assistant", "content": example.tutor}]
    return messages


def messages(prompt: TutorPrompt, request: TutorRequest) -> list[Message]:
    """The chat messages that ask for the reply to `request`."""
    said = [*request.history, Exchange(request.utterance, "", request.level)]
    begun: list[Message] = [{"role": "assistant", "content": request.begin}] if request.begin else []
    return prefix(prompt) + _dialogue(said) + begun


def chat_messages(prompt: TutorPrompt, said: Sequence[Message]) -> list[Message]:
    """A client's messages as the model gets them: after the tutor's prompt, unless they have a system message."""
    if said[0]["role"] == "system":
        return list(said)
    return prefix(prompt) + [
        _learner_says(None, message["content"]) if message["role"] == "user" else message for message in said
    ]


def history_messages(prompt: TutorPrompt, history: Sequence[Exchange]) -> list[Message]:
    """The start of the next request after `history`, for warming the prompt cache."""
    return prefix(prompt) + _dialogue(history)


def _dialogue(exchanges: Sequence[Exchange]) -> list[Message]:
    """The exchanges as messages; unanswered utterances are joined to the next, as chat templates need alternation."""
    dialogue: list[Message] = []
    unanswered: list[str] = []
    for number, exchange in enumerate(exchanges, start=1):
        unanswered += filter(None, [exchange.learner])
        if exchange.tutor or number == len(exchanges):
            dialogue.append(_learner_says(exchange.level, " ".join(unanswered) or UNASKED))
            unanswered = []
        if exchange.tutor:
            dialogue.append({"role": "assistant", "content": exchange.tutor})
    return dialogue


def _learner_says(level: str | None, text: str) -> Message:
    return {"role": "user", "content": f"[{level or DEFAULT_LEVEL}] {text}"}
