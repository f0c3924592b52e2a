"""The spans of a turn, and that there are none unless the environment turns them on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.lesson import busy_house, recorded
from support.stages import House

from serve_app.errors import StackError, StageFailed
from serve_app.lesson.events import Spoken
from serve_app.lesson.turn_record import TurnRecord
from serve_app.observe import tracing
from serve_app.observe.tracing import Tracing

MODELS = {stage: {"engine": f"{stage}-engine", "model": f"{stage}-model"} for stage in ("stt", "cefr", "llm", "tts")}


def spans_of(turn: TurnRecord) -> list[ReadableSpan]:
    """As they are exported: the stages', then the turn's."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    Tracing(provider).turn(turn, MODELS)
    return list(exporter.get_finished_spans())


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_turn_is_a_span_with_one_below_it_for_each_call_of_a_stage() -> None:
    turn = await recorded(busy_house())
    *calls, root = spans_of(turn)
    assert root.name == "turn"
    assert root.parent is None
    assert [span.name for span in calls] == [call.stage for call in turn.calls]
    assert all(span.parent == root.context for span in calls)
    assert {span.context.trace_id for span in calls if span.context} == {root.context.trace_id if root.context else 0}


async def test_the_spans_have_the_times_that_were_measured() -> None:
    before = time.time_ns()
    turn = await recorded(busy_house())
    after = time.time_ns()
    *calls, root = spans_of(turn)
    slack = 5_000_000
    for span in (root, *calls):
        assert span.start_time is not None
        assert span.end_time is not None
        assert before - slack <= span.start_time <= span.end_time <= after + slack
    for span, call in zip(calls, turn.calls, strict=True):
        assert (span.end_time or 0) - (span.start_time or 0) == pytest.approx(call.seconds * 1e9, abs=1e5)
    [first_audio] = [event for event in root.events if event.name == "first_audio"]
    assert (first_audio.timestamp - (root.start_time or 0)) / 1e9 == pytest.approx(turn.first_audio_s, abs=1e-3)


async def test_attributes_tell_what_each_call_cost_and_no_text() -> None:
    house = busy_house()
    turn = await recorded(house)
    *calls, root = spans_of(turn)
    assert (
        attributes(root).items()
        >= {
            "parle.turn.id": "t-1",
            "parle.route": "sse",
            "parle.order": "eager",
            "parle.outcome": "complete",
            "parle.first_audio_s": turn.first_audio_s,
            "parle.real_time_factor": pytest.approx(0.2),
        }.items()
    )
    by_stage = {span.name: attributes(span) for span in calls}
    assert by_stage["stt"].items() >= {"parle.audio_s": 2.0, "gen_ai.request.model": "stt-model"}.items()
    assert by_stage["llm"].items() >= {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 13}.items()
    assert by_stage["tts"]["parle.compute_s"] == pytest.approx(0.04)
    assert by_stage["stt"]["parle.queue_s"] == turn.calls[0].queue_s
    told = "".join(span.to_json() for span in (root, *calls))
    assert "futebol" not in told
    assert "aula" not in told


async def test_first_token_and_first_audio_are_events() -> None:
    spans = spans_of(await recorded(busy_house()))
    for name, event in (("llm", "first_token"), ("tts", "first_audio"), ("turn", "first_audio")):
        assert all([told.name for told in span.events] == [event] for span in spans if span.name == name)


async def test_a_failure_marks_the_turn_and_the_stage_to_blame() -> None:
    house = House()
    house.llm.work.fails_with = StageFailed("secret", code="stage_lost", stage="llm")
    spans = {span.name: span for span in spans_of(await recorded(house))}
    assert {name for name, span in spans.items() if not span.status.is_ok and not span.status.is_unset} == {
        "turn",
        "llm",
    }
    assert attributes(spans["turn"])["error.type"] == "stage_lost"
    assert "secret" not in spans["turn"].to_json()


async def test_a_cancelled_turn_is_no_failure() -> None:
    house = busy_house()
    house.llm.word_s = 0.05
    spans = spans_of(await recorded(house, until=Spoken))
    assert all(span.status.is_unset for span in spans)
    assert attributes(spans[-1])["parle.outcome"] == "cancelled"
    assert any(attributes(span)["parle.finished"] is False for span in spans[:-1])


# --- asked for or not --------------------------------------------------------------------------------------

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "true"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"},
    ],
    ids=["nothing", "empty", "disabled", "none"],
)
def test_unless_asked_there_are_no_spans(environment: dict[str, str]) -> None:
    assert not tracing.asked_for(environment)


def test_another_protocol_is_refused() -> None:
    with pytest.raises(StackError, match="http/protobuf, not by grpc"):
        tracing.asked_for({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_without_the_exporter_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracing.asked_for(ENDPOINT)
    monkeypatch.setattr(tracing, "EXPORTER", "opentelemetry.exporter.no_such_package.http")
    with pytest.raises(StackError, match=r"pip install 'parle-serve\[otel\]'"):
        tracing.asked_for(ENDPOINT)


# --- over the wire -----------------------------------------------------------------------------------------


class Collector:
    """An OTLP/HTTP receiver: keeps the bodies posted to /v1/traces, and their headers."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], ExportTraceServiceRequest]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = ExportTraceServiceRequest.FromString(body)
                collector.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, request))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


async def test_spans_reach_a_collector_with_what_the_environment_says(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x")
    traced = tracing.from_environment()
    assert traced is not None
    turn = await recorded(busy_house())
    traced.turn(turn, MODELS)
    traced.close()
    [(path, headers, request)] = collector.requests
    assert path == "/v1/traces"
    assert headers["authorization"] == "Bearer x"
    [resource] = request.resource_spans
    named = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert named["service.name"] == "parle"
    names = sorted(span.name for scope in resource.scope_spans for span in scope.spans)
    assert names == sorted(["turn", *(call.stage for call in turn.calls)])
