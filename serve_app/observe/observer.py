"""Records each finished turn: metrics, one log line, and spans if they are turned on.

Everything is recorded in the ingress when a turn has ended, from its TurnRecord. A turn passes every stage, so the
stages themselves need no metrics of their own.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

from fastapi import WebSocketDisconnect
from starlette.requests import ClientDisconnect

from serve_app.config.stack import StackArgs, StageConfig
from serve_app.errors import ParleError
from serve_app.lesson.turn_record import StageCall, TurnRecord
from serve_app.observe import metrics, tracing
from serve_app.observe.metrics import Metrics
from serve_app.observe.tracing import Tracing
from serve_app.weights.hub_names import is_hub_id
from serve_app.weights.model_names import WHEEL

logger = logging.getLogger("ray.serve")

NO_MODEL = "none"
"""The metric label of an engine that loads no model."""


class Observer:
    """Metrics, log and spans of one ingress replica.

    Raises:
        StackError: spans are turned on but cannot be sent.
    """

    def __init__(self, args: StackArgs) -> None:
        self._labels = {
            stage: {"engine": config.engine, "model": public_model(config) or NO_MODEL}
            for stage, config in args.stages().items()
        }
        self._metrics = Metrics()
        self._tracing: Tracing | None = tracing.from_environment()
        self._salt = secrets.token_bytes(16)
        self.in_flight(0)
        self.sessions(0)

    def in_flight(self, turns: int) -> None:
        with _never_raising():
            self._metrics.set(metrics.IN_FLIGHT, turns)

    def sessions(self, open_sockets: int) -> None:
        with _never_raising():
            self._metrics.set(metrics.SESSIONS, open_sockets)

    @contextmanager
    def refusals(self, route: str) -> Iterator[None]:
        """Counts the errors for which requests are refused before their turn begins."""
        try:
            yield
        except (ClientDisconnect, WebSocketDisconnect):
            raise  # the client has gone: no error was sent
        except Exception as error:
            code = error.code if isinstance(error, ParleError) else ParleError.code
            with _never_raising():
                self._metrics.add(metrics.ERRORS, 1, route=route, stage="request", code=code)
            raise

    def turn_ended(self, turn: TurnRecord) -> None:
        """Record a turn, however it ended."""
        with _never_raising():
            self._count(turn)
        with _never_raising():
            self._log(turn)
        if self._tracing is not None:
            with _never_raising():
                self._tracing.turn(turn, self._labels)

    def close(self) -> None:
        """Send the spans that are still queued."""
        if self._tracing is not None:
            self._tracing.close()

    def _count(self, turn: TurnRecord) -> None:
        count, way = self._metrics, {"route": turn.route, "order": turn.order}
        count.add(metrics.TURNS, 1, **way, outcome=turn.outcome)
        if turn.outcome == "cancelled":
            count.add(metrics.CANCELLED, 1, route=turn.route, stage=turn.stage)
        if turn.code is not None:
            count.add(metrics.ERRORS, 1, route=turn.route, stage=turn.stage, code=turn.code)
        if turn.first_audio_s is not None:
            count.observe(metrics.FIRST_AUDIO, turn.first_audio_s, **way)
        if turn.outcome == "complete":
            count.observe(metrics.TURN, turn.seconds, **way)
        for call in turn.calls:
            self._count_call(call)
        if (factor := turn.real_time_factor) is not None:
            count.observe(metrics.FACTOR, factor, **self._labels["tts"])

    def _count_call(self, call: StageCall) -> None:
        count, model = self._metrics, self._labels[call.stage]
        if call.stage == "llm" and call.first_s is not None:
            count.observe(metrics.FIRST_TOKEN, call.first_s, **model)
        if not call.finished:
            return  # its cost is unknown
        if call.queue_s is not None:
            count.observe(metrics.QUEUE, call.queue_s, stage=call.stage, **model)
            count.observe(metrics.COMPUTE, call.compute_s, stage=call.stage, **model)
            count.add(metrics.BUSY, call.compute_s, stage=call.stage, **model)
        count.add(metrics.AUDIO, call.audio_s, stage=call.stage, **model)
        if (usage := call.usage) is not None:
            count.add(metrics.TOKENS, usage.prompt_tokens, kind="prompt", **model)
            count.add(metrics.TOKENS, usage.cached_tokens, kind="cached", **model)
            count.add(metrics.TOKENS, usage.completion_tokens, kind="completion", **model)

    def _log(self, turn: TurnRecord) -> None:
        """One line; with `encoding: JSON` its fields are under `turn`. Contains nothing of what was said."""
        summary = f"turn {turn.turn_id}: {turn.outcome} after {turn.seconds:.2f} s"
        if turn.code is not None:
            summary += f", {turn.code} in {turn.stage}"
        if turn.first_audio_s is not None:
            summary += f", first audio after {turn.first_audio_s:.2f} s"
        level = logging.WARNING if turn.outcome == "error" else logging.INFO
        logger.log(level, summary, extra={"turn": self._fields(turn)})

    def _fields(self, turn: TurnRecord) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "id": turn.turn_id,
            "session": self._pseudonym(turn.session_id),
            "route": turn.route,
            "order": turn.order,
            "outcome": turn.outcome,
            "stage": turn.stage,
            "code": turn.code,
            "seconds": round(turn.seconds, 3),
            "first_audio_s": turn.first_audio_s,
            "real_time_factor": _rounded(turn.real_time_factor),
            "calls": [_call_fields(call) for call in turn.calls],
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _pseudonym(self, session_id: str) -> str:
        """A hash in place of the session id, which may be a person's name; the same until this process ends."""
        return hashlib.blake2s(session_id.encode(), key=self._salt, digest_size=6).hexdigest()


@contextmanager
def _never_raising() -> Iterator[None]:
    """Logs exceptions instead of raising them: a failure to record must not fail a turn."""
    try:
        yield
    except Exception:
        logger.warning("a turn was not fully recorded", exc_info=True)


def public_model(config: StageConfig) -> str | None:
    """The model as shown outside (metrics, /api/info): its published name, or the last part of a local path.

    None for an engine that loads none. A whole path may contain a user's name.
    """
    model = getattr(config, "model", None)
    if model is None:
        return None
    return model if model.startswith(WHEEL) or is_hub_id(model) else PurePath(model).name


def stack_name(args: StackArgs) -> str:
    """The models of a stack, for whoever asks later what a conversation was held with."""
    return ", ".join(public_model(config) or config.engine for config in args.stages().values())


def _call_fields(call: StageCall) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "stage": call.stage,
        "finished": call.finished,
        "seconds": _rounded(call.seconds),
        "first_s": _rounded(call.first_s),
        "queue_s": _rounded(call.queue_s),
        "compute_s": _rounded(call.compute_s or None),
        "audio_s": _rounded(call.audio_s or None),
    }
    if (usage := call.usage) is not None:
        fields |= {
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
        }
    return {name: value for name, value in fields.items() if value is not None}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
