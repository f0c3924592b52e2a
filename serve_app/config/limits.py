"""Limits of one request, of one client and of the server; `limits` in the YAML, and in the ingress's `user_config`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from serve_app.config.strict import Strict

UTTERANCE_TOKENS = 256
"""Of the LLM's context, kept free for the learner's next utterance: a minute of speech."""


class Limits(Strict):
    """Limits of one request, of one client and of the whole server."""

    max_body_mb: Annotated[float, Field(gt=0, le=512)] = 15.0
    """Largest recording, in megabytes (1e6 bytes)."""
    upload_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest time for a recording to arrive, in seconds."""
    upload_kb_s: Annotated[float, Field(gt=0)] = 4.0
    """Least rate at which it must arrive, in kilobytes (1000 bytes) a second, from the fifth second on."""
    max_audio_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest utterance, in seconds."""
    reply_tokens: Annotated[int, Field(ge=8)] = 90
    """Longest reply, in tokens of the LLM."""
    chat_tokens: Annotated[int, Field(ge=8)] = 512
    """Longest answer of `/v1/chat/completions`, in tokens of the LLM."""
    history_tokens: Annotated[int, Field(ge=256)] = 2400
    """A conversation with more tokens than this, the tutor's prompt included, is cut: its older half is dropped. By
    default less where `llm.context_tokens` is small."""
    turn_s: Annotated[float, Field(gt=0)] = 120.0
    """Longest turn, in seconds."""
    stt_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest wait for a transcript, that behind other learners included."""
    cefr_s: Annotated[float, Field(gt=0)] = 30.0
    """Longest wait for a level estimate."""
    llm_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest wait for the reply's first or next words."""
    tts_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest wait for the first or next audio of a piece of the reply."""
    query_s: Annotated[float, Field(gt=0)] = 5.0
    """Longest wait for a stage's answer outside of turns: which voices it has."""
    warm_s: Annotated[float, Field(gt=0)] = 120.0
    """Longest time that the LLM reads a shortened conversation ahead of its next turn."""
    max_turns: Annotated[int, Field(ge=1)] = 8
    """Turns at the same time; one more is refused with 503."""
    max_waiting: Annotated[int, Field(ge=0)] = 16
    """Turns that wait for one of those places, of clients that ask to wait; 0: nobody waits."""
    client_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The part of `max_turns` that one API key or address may have, less one for each other that has a turn; more wait
    or are refused."""
    max_sessions: Annotated[int, Field(ge=1)] = 100
    """Open WebSockets; one more is closed with 1013."""
    client_turns: Annotated[int, Field(ge=0)] = 0
    """Turns at the same time of one API key, and of one address; one more is refused with 429. 0: no limit."""
    client_turns_per_minute: Annotated[float, Field(ge=0)] = 0.0
    """Recordings a minute of one API key, and of one address. 0: no limit."""
    client_sessions: Annotated[int, Field(ge=0)] = 0
    """Open WebSockets of one API key, and of one address. 0: no limit."""
    stop_s: Annotated[float, Field(ge=0, le=600)] = 20.0
    """How long running turns may go on once the server is to stop, before they are cut."""
    kept_conversations: Annotated[int, Field(ge=1)] = 1000
    """Conversations kept in memory."""
    conversation_idle_s: Annotated[float, Field(gt=0)] = 3600.0
    """A conversation is forgotten this long after its last turn."""

    def longer_stop(self, wanted: Mapping[str, Any]) -> str | None:
        """Why these limits cannot be changed so while the server runs; None where they can.

        Serve learns at the start how long a replica may take to end, and kills one that takes longer.
        """
        stop_s = wanted.get("stop_s")
        if isinstance(stop_s, int | float) and stop_s > self.stop_s:
            return f"limits.stop_s: at most the {self.stop_s:g} s of args.limits.stop_s; raise it there"
        return None

    def fitting(self, context_tokens: int) -> Limits:
        """These limits with no more history than fits the LLM's context beside an utterance and the reply."""
        most = max(256, context_tokens - self.reply_tokens - UTTERANCE_TOKENS)
        return self.model_copy(update={"history_tokens": min(self.history_tokens, most)})
