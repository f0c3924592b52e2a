"""What becomes of a turn's record: metrics, one line in the log, and spans where they are asked for.

Everything is recorded in the ingress, when a turn has ended, from what the turn measured. A
turn meets every stage, so nothing is missing, and the stages stay free of it.
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
"""The model label of an engine that loads none."""


class Observer:
    """One ingress replica's eyes on its turns.

    Raises:
        StackError: spans are asked for and cannot be sent.
    """

    def __init__(self, args: StackArgs) -> None:
        self._labels = {
            stage: {"engine": config.engine, "model": model_label(config)} for stage, config in args.stages().items()
        }
        self._metrics = Metrics()
        self._tracing: Tracing | None = tracing.from_environment()
        self._salt = secrets.token_bytes(16)
        self.in_flight(0)
        self.sessions(0)

    def in_flight(self, turns: int) -> None:
        with _harmless():
            self._metrics.set(metrics.IN_FLIGHT, turns)

    def sessions(self, open_sockets: int) -> None:
        with _harmless():
            self._metrics.set(metrics.SESSIONS, open_sockets)

    @contextmanager
    def refusals(self, route: str) -> Iterator[None]:
        """Counts what a request is refused for before its turn begins."""
        try:
            yield
        except (ClientDisconnect, WebSocketDisconnect):
            raise  # nobody was told anything
        except Exception as error:
            code = error.code if isinstance(error, ParleError) else ParleError.code
            with _harmless():
                self._metrics.add(metrics.ERRORS, 1, route=route, stage="request", code=code)
            raise

    def turn_ended(self, turn: TurnRecord) -> None:
        """Record a turn, whatever its end was."""
        with _harmless():
            self._count(turn)
        with _harmless():
            self._log(turn)
        if self._tracing is not None:
            with _harmless():
                self._tracing.turn(turn, self._labels)

    def close(self) -> None:
        """Send the spans that still wait."""
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
            return  # what it still cost, nobody said
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
        """One line; with `encoding: JSON` its fields are under `turn`. Nothing of what was said."""
        told = f"turn {turn.turn_id}: {turn.outcome} after {turn.seconds:.2f} s"
        if turn.code is not None:
            told += f", {turn.code} in {turn.stage}"
        if turn.first_audio_s is not None:
            told += f", first audio after {turn.first_audio_s:.2f} s"
        level = logging.WARNING if turn.outcome == "error" else logging.INFO
        logger.log(level, told, extra={"turn": self._fields(turn)})

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
        """Tells the turns of one conversation from others, until this process ends; its name may be a person's."""
        return hashlib.blake2s(session_id.encode(), key=self._salt, digest_size=6).hexdigest()


@contextmanager
def _harmless() -> Iterator[None]:
    """What cannot be recorded must not cost anybody a turn."""
    try:
        yield
    except Exception:
        logger.warning("something of a turn was not recorded", exc_info=True)


def model_label(config: StageConfig) -> str:
    """The model as a label: its published name, or the last part of a path, which may lead through a home folder."""
    model = getattr(config, "model", None)
    if model is None:
        return NO_MODEL
    return model if model.startswith(WHEEL) or is_hub_id(model) else PurePath(model).name


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
