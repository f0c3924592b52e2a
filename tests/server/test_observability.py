"""What a running server exports and logs, and that the dashboard asks for nothing else."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.clients import PATIENCE_S, talking
from support.paths import ROOT
from support.servers import Server
from support.speech import Speaker

from serve_app.observe.metrics import METRICS

pytestmark = pytest.mark.server

DASHBOARD = ROOT / "deploy/grafana/parle.json"
PROMETHEUS = ROOT / "deploy/prometheus/prometheus.yml"
COLLECTED_S = 60
"""Ray collects every ten seconds, and its controller's metrics come from another process."""
SETTLED_S = 11
SAID = "Eu gosto muito de viajar de trem."
TURN_ID = "prova-17"


@dataclass
class Exported:
    """One look at /metrics: per sample name, the labels and values."""

    samples: dict[str, list[tuple[dict[str, str], float]]] = field(default_factory=dict)

    @classmethod
    def read(cls, url: str) -> Exported:
        seen = cls()
        for family in text_string_to_metric_families(httpx.get(url, timeout=30).raise_for_status().text):
            for sample in family.samples:
                seen.samples.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
        return seen

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name with these labels."""
        return sum(value for told, value in self.samples.get(name, ()) if labels.items() <= told.items())

    def labels(self, name: str) -> set[str]:
        return {label for told, _ in self.samples.get(name, ()) for label in told}


def metrics_url(server: Server) -> str:
    """As the server told on its terminal."""
    [url] = re.findall(r"^  metrics  (\S+)$", server.log.read_text("utf-8"), re.MULTILINE)
    return url


def logs_folder(server: Server) -> Path:
    [folder] = re.findall(r"^  logs     (\S+)$", server.log.read_text("utf-8"), re.MULTILINE)
    return Path(folder)


@pytest.fixture(scope="module")
def answered(small_server: Server, speech: Speaker) -> httpx.Response:
    """A whole turn, a turn that was cancelled, and a request that was refused; the answer to the first."""
    recording = speech.recording(SAID)
    url, headers = f"{small_server.url}/api/stream-audio", {"x-request-id": TURN_ID}
    files, data = {"audio": ("gravacao", recording)}, {"order": "eager", "session_id": "ana-maria"}
    response = httpx.post(url, files=files, data=data, headers=headers, timeout=PATIENCE_S)
    assert "event: complete" in response.text, response.text
    with talking(small_server.url) as talk:
        talk.say(recording)
        talk.until("transcript")
        talk.tell({"type": "cancel"})
        talk.until("cancelled")
    assert httpx.post(url, files={"audio": ("gravacao", b"")}).status_code == 400
    return response


@pytest.fixture(scope="module")
def exported(small_server: Server, answered: httpx.Response) -> Exported:
    """What the server exports once all of that has reached Ray's agent."""
    url, deadline = metrics_url(small_server), time.monotonic() + COLLECTED_S
    wanted = {sample for metric in METRICS for sample in _samples(metric.kind, metric.exported)}
    before: dict[str, float] = {}
    since = time.monotonic()
    wanted |= {name for panel in panels() for target in panel["targets"] for name, _ in selected(target["expr"])}
    while True:
        seen = Exported.read(url)
        missing = wanted - seen.samples.keys()
        turns = seen.total("ray_parle_turns_in_flight") if not missing else None
        counts = {name: seen.total(name) for name in wanted & seen.samples.keys()}
        if turns != 0 or counts != before:  # what is counted at once is not collected at once
            before, since = counts, time.monotonic()
        elif time.monotonic() - since > SETTLED_S:
            return seen
        assert time.monotonic() < deadline, f"not exported: {sorted(missing)}, or still in flight: {turns} turns"
        time.sleep(0.25)


def _samples(kind: str, name: str) -> list[str]:
    return [f"{name}_bucket", f"{name}_sum", f"{name}_count"] if kind == "histogram" else [name]


# --- metrics -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_exported_with_its_labels(exported: Exported, metric: Any) -> None:
    for name in _samples(metric.kind, metric.exported):
        assert {*metric.labels, "deployment", "application", "replica"} <= exported.labels(name)
        assert {told["deployment"] for told, _ in exported.samples[name]} == {"Ingress"}


def test_the_turns_that_were_made_are_counted(exported: Exported) -> None:
    assert exported.total("ray_parle_turns_total", route="sse", order="eager", outcome="complete") >= 1
    assert exported.total("ray_parle_turns_cancelled_total", route="websocket") >= 1
    assert exported.total("ray_parle_errors_total", route="sse", stage="request", code="no_audio") >= 1
    turns = exported.total("ray_parle_turns_total", outcome="complete")
    assert exported.total("ray_parle_turn_seconds_count") == turns
    spoken = sum(
        exported.total("ray_parle_turns_total", outcome="complete", route=route) for route in ("sse", "websocket")
    )
    assert exported.total("ray_parle_first_audio_seconds_count") >= spoken >= 1
    assert exported.total("ray_parle_speech_real_time_factor_count") >= spoken


@pytest.mark.parametrize("stage", ["stt", "cefr", "llm", "tts"])
def test_every_stage_tells_queue_and_compute(exported: Exported, stage: str) -> None:
    calls = exported.total("ray_parle_stage_compute_seconds_count", stage=stage)
    assert calls >= 1
    assert exported.total("ray_parle_stage_queue_seconds_count", stage=stage) == calls
    busy_s = exported.total("ray_parle_stage_busy_seconds_total", stage=stage)
    assert (0.0001 if stage == "cefr" else 0.1) * calls < busy_s < 30 * calls


def test_a_free_stage_hardly_queues(exported: Exported) -> None:
    """Most calls of this run found their stage free, and Ray brings a call and its answer in milliseconds."""
    quick = exported.total("ray_parle_stage_queue_seconds_bucket", stage="stt", le="0.25")
    assert quick >= 0.5 * exported.total("ray_parle_stage_queue_seconds_count", stage="stt")


def test_speech_is_made_about_as_fast_as_the_audio_lasts(exported: Exported) -> None:
    made_s = exported.total("ray_parle_stage_audio_seconds_total", stage="tts")
    assert made_s > 0.5
    assert 0.05 < exported.total("ray_parle_stage_busy_seconds_total", stage="tts") / made_s < 5


# --- the dashboard -----------------------------------------------------------------------------------------


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text("utf-8"))["panels"]


def queries() -> list[Any]:
    return [
        pytest.param(target, id=f"{panel['title']}-{target['refId']}")
        for panel in panels()
        for target in panel["targets"]
    ]


def parsed(expr: str) -> Any:
    return promql.parse(expr.replace("$__rate_interval", "1m"))


def walk(node: Any) -> Iterator[Any]:
    """The node and all below it."""
    yield node
    inner = [getattr(node, name, None) for name in ("expr", "lhs", "rhs", "param", "vector_selector")]
    for child in (*inner, *getattr(node, "args", ())):
        if child is not None:
            yield from walk(child)


def selected(expr: str) -> list[tuple[str, dict[str, str]]]:
    """Each metric that a query reads, with the labels it must have; a value where the query asks for one."""
    nodes = list(walk(parsed(expr)))
    grouped = {
        label
        for node in nodes
        if isinstance(node, promql.AggregateExpr) and node.modifier
        for label in node.modifier.labels
    }
    return [
        (node.name, dict.fromkeys(grouped, "") | {matcher.name: matcher.value for matcher in node.matchers.matchers})
        for node in nodes
        if isinstance(node, promql.VectorSelector) and node.name
    ]


@pytest.mark.parametrize("target", queries())
def test_a_query_of_the_dashboard_reads_what_the_server_exports(exported: Exported, target: dict[str, Any]) -> None:
    read = selected(target["expr"])
    assert read
    for name, labels in read:
        assert labels.keys() <= exported.labels(name), f"{name} has {sorted(exported.labels(name))}"
        asked = {label: value for label, value in labels.items() if value}
        assert any(asked.items() <= told.items() for told, _ in exported.samples[name]), f"no {name} with {asked}"


@pytest.mark.parametrize("target", queries())
def test_a_legend_names_labels_that_its_query_keeps(target: dict[str, Any]) -> None:
    kept = {label for _, labels in selected(target["expr"]) for label, value in labels.items() if not value}
    assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= kept
    assert kept - {"le"} <= set(re.findall(r"{{(\w+)}}", target["legendFormat"]))


def test_the_dashboard_leaves_the_choice_of_prometheus_to_its_reader() -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    [variable] = dashboard["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    uid = f"${{{variable['name']}}}"
    assert {source["datasource"]["uid"] for panel in panels() for source in (panel, *panel["targets"])} == {uid}
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_prometheus_scrapes_the_port_that_the_docs_pin() -> None:
    [job] = yaml.safe_load(PROMETHEUS.read_text("utf-8"))["scrape_configs"]
    [target] = job["static_configs"][0]["targets"]
    port = target.rpartition(":")[2]
    assert f"METRICS_PORT={port} parle serve" in (ROOT / "docs/observability.md").read_text("utf-8")


# --- the log -----------------------------------------------------------------------------------------------


def log_lines(server: Server) -> list[tuple[str, dict[str, Any]]]:
    """Every line of every component's log, which is JSON, with its file's name."""
    return [
        (path.name, json.loads(line))
        for path in sorted(logs_folder(server).glob("*.log"))
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("{")
    ]


def test_the_turn_is_one_line_with_the_id_of_its_request(small_server: Server, answered: httpx.Response) -> None:
    assert answered.headers["x-request-id"] == TURN_ID
    [(file, told)] = [
        (file, told) for file, told in log_lines(small_server) if told.get("turn", {}).get("id") == TURN_ID
    ]
    assert file.startswith("replica_parle_Ingress_")
    assert told["request_id"] == TURN_ID
    turn = told["turn"]
    assert (turn["route"], turn["order"], turn["outcome"]) == ("sse", "eager", "complete")
    stages = [call["stage"] for call in turn["calls"]]
    assert stages[:3] == ["stt", "cefr", "llm"]
    assert set(stages[3:]) == {"tts"}
    for call in turn["calls"]:
        assert call["finished"]
        assert 0 < call["compute_s"] <= call["seconds"]
        assert 0 <= call["queue_s"] <= call["seconds"]
    timing = json.loads(answered.text.rpartition("data: ")[2])["timing"]
    assert turn["first_audio_s"] == pytest.approx(timing["first_audio_ms"] / 1000)


def test_the_stages_log_the_turn_by_the_same_id(small_server: Server, answered: httpx.Response) -> None:
    files = {file for file, told in log_lines(small_server) if told.get("request_id") == TURN_ID}
    for deployment in ("SpeechToText", "CefrClassifier", "TutorLLM", "TextToSpeech", "Ingress"):
        assert any(file.startswith(f"replica_parle_{deployment}_") for file in files), files
    assert any(file.startswith("proxy_") for file in files), files


def test_turns_of_a_websocket_are_numbered(small_server: Server, answered: httpx.Response) -> None:
    turns = [told["turn"] for _, told in log_lines(small_server) if "turn" in told]
    numbered = [turn for turn in turns if turn["route"] == "websocket"]
    assert any(turn["outcome"] == "cancelled" for turn in numbered)
    assert all(re.fullmatch(r".+\.\d+", turn["id"]) for turn in numbered)


def test_nothing_that_was_said_and_no_sessions_name_is_in_any_log_or_metric(
    small_server: Server, answered: httpx.Response, exported: Exported
) -> None:
    reply = json.loads(answered.text.rpartition("data: ")[2])["response"]
    left = str(exported.samples) + "".join(
        path.read_text("utf-8", "replace") for path in logs_folder(small_server).rglob("*.log")
    )
    assert "ana-maria" not in left
    for said in (SAID.rstrip("."), reply, "viajar"):
        assert said not in left
