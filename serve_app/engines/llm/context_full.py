"""The error of a conversation that no longer fits the model."""

from __future__ import annotations

from serve_app.errors import StageFailed


def context_full() -> StageFailed:
    """What both chat engines raise when a prompt is longer than `llm.context_tokens`."""
    hint = "lower limits.history_tokens or raise llm.context_tokens"
    message = f"The conversation is longer than the model's context; {hint}."
    return StageFailed(message, code="context_full", stage="llm")
