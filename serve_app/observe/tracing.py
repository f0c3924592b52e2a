"""OpenTelemetry spans: one for each turn, with a child for each call of a stage. Off by default.

OpenTelemetry's own environment variables turn them on: an endpoint in OTEL_EXPORTER_OTLP_ENDPOINT or
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. Headers, sampler, service name and the rest are read by the SDK
(https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).

The spans are made from the TurnRecord after the turn, so a running turn pays nothing for them. They contain no text.
Ray Serve's own `tracing_config` is independent: its spans follow a request through Ray's processes and know nothing
of turns. Both may be on.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Mapping

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from serve_app import __version__
from serve_app.errors import StackError
from serve_app.lesson.turn_record import StageCall, TurnRecord

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
EXPORTER = "opentelemetry.exporter.otlp.proto.http"
UNNAMED = "unknown_service"
"""How the SDK's default service name begins."""

Attributes = dict[str, str | int | float | bool]


def asked_for(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment turns spans on.

    Raises:
        StackError: it does, but they cannot be sent; one line says what is missing.
    """
    endpoint = next((name for name in ENDPOINTS if environment.get(name)), None)
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if endpoint is None or off or environment.get("OTEL_TRACES_EXPORTER", "otlp") == "none":
        return False
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), PROTOCOL)
    if protocol != PROTOCOL:
        raise StackError(f"Spans are sent by {PROTOCOL}, not by {protocol}: unset OTEL_EXPORTER_OTLP_PROTOCOL.")
    if not _installed():
        raise StackError(
            f"{endpoint} asks for spans, and their exporter is not installed: pip install 'parle-serve[otel]', "
            "or set OTEL_TRACES_EXPORTER=none."
        )
    return True


def _installed() -> bool:
    try:
        return importlib.util.find_spec(EXPORTER) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False


def from_environment() -> Tracing | None:
    """The tracing that the environment turns on, or None.

    Raises:
        StackError: as `asked_for` does.
    """
    if not asked_for():
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider = TracerProvider(resource=_resource())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


class Tracing:
    """Makes the spans of turns, with a provider of its own because the global one is Ray Serve's."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("parle", __version__)

    def turn(self, turn: TurnRecord, models: Mapping[str, Mapping[str, str]]) -> None:
        """Make the spans of a turn. `models` has the engine and model of each stage."""
        epoch = time.time() - time.perf_counter()  # the record's clock has no date
        span = self._tracer.start_span(
            "turn",
            kind=SpanKind.SERVER,
            start_time=_ns(epoch + turn.received_at),
            attributes=_turn_attributes(turn),
        )
        if turn.first_audio_s is not None:
            span.add_event("first_audio", timestamp=_ns(epoch + turn.received_at + turn.first_audio_s))
        if turn.code is not None:
            span.set_status(Status(StatusCode.ERROR, turn.code))
        inside = set_span_in_context(span)
        for call in turn.calls:
            child = self._tracer.start_span(
                call.stage,
                inside,
                SpanKind.CLIENT,
                start_time=_ns(epoch + call.began),
                attributes=_call_attributes(call, models[call.stage]),
            )
            if call.first is not None and call.stage in FIRST_ITEM:
                child.add_event(FIRST_ITEM[call.stage], timestamp=_ns(epoch + call.first))
            if turn.code is not None and not call.finished and call.stage == turn.stage:
                child.set_status(Status(StatusCode.ERROR, turn.code))
            child.end(_ns(epoch + (call.ended or turn.ended_at)))
        span.end(_ns(epoch + turn.ended_at))

    def close(self) -> None:
        """Send the queued spans and stop."""
        self._provider.shutdown()


FIRST_ITEM = {"llm": "first_token", "tts": "first_audio"}
"""The name of the span event for a stage's first item."""


def _turn_attributes(turn: TurnRecord) -> Attributes:
    attributes: Attributes = {
        "parle.turn.id": turn.turn_id,
        "parle.route": turn.route,
        "parle.order": turn.order,
        "parle.outcome": turn.outcome,
        "parle.stage": turn.stage,
    }
    if turn.code is not None:
        attributes["error.type"] = turn.code
    if turn.first_audio_s is not None:
        attributes["parle.first_audio_s"] = turn.first_audio_s
    if turn.real_time_factor is not None:
        attributes["parle.real_time_factor"] = turn.real_time_factor
    return attributes


def _call_attributes(call: StageCall, model: Mapping[str, str]) -> Attributes:
    """Attributes of a call, with OpenTelemetry's conventional names where they exist (gen_ai.*)."""
    attributes: Attributes = {
        "parle.engine": model["engine"],
        "gen_ai.request.model": model["model"],
        "parle.finished": call.finished,
    }
    if call.queue_s is not None:
        attributes |= {"parle.queue_s": call.queue_s, "parle.compute_s": call.compute_s}
    if call.audio_s:
        attributes["parle.audio_s"] = call.audio_s
    if (usage := call.usage) is not None:
        attributes |= {
            "gen_ai.usage.input_tokens": usage.prompt_tokens,
            "gen_ai.usage.output_tokens": usage.completion_tokens,
            "parle.cached_tokens": usage.cached_tokens,
        }
    return attributes


def _resource() -> Resource:
    """The service is `parle` unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES says otherwise."""
    resource = Resource.create({"service.version": __version__})
    if str(resource.attributes.get(SERVICE_NAME, UNNAMED)).startswith(UNNAMED):
        resource = resource.merge(Resource({SERVICE_NAME: "parle"}))
    return resource


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
