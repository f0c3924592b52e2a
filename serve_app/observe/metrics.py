"""Every metric that Parle exports; docs/observability.md has the same table.

Ray exports them: what a replica records here appears at the metrics agent of its node, with the prefix `ray_` and
the labels `deployment`, `replica` and `application` that Serve adds. Labels have few, fixed values (stage, engine,
model, route, order, code ...), never a session, a turn or a text.

Ray passes only a histogram's buckets to the agent, which counts each observation as the middle of its bucket (ray
2.60, open_telemetry_metric_recorder.py). So quantiles are exact to the width of a bucket, but `_sum` is not: sums
that matter are counters here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ray.serve import metrics as ray_metrics

PREFIX = "ray_"
"""Ray's prefix for every name."""

QUEUE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""From the few milliseconds of a free stage to a hopeless queue."""
COMPUTE_BUCKETS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 15, 30)
"""One call: from a lexical estimate (under 1 ms) to a long reply written on two CPU cores."""
SPOKEN_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 7, 10, 15, 30)
"""Waiting time after speaking: fine steps up to a second, where a pause becomes noticeable."""
TURN_BUCKETS = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 60, 120)
FACTOR_BUCKETS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 2, 3)
"""Above 1, synthesis is slower than playback, and the answer stutters."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: `name` is without Ray's prefix and contains the unit."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    description: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def exported(self) -> str:
        """The name in Prometheus; a histogram's is followed by `_bucket`, `_sum` or `_count`."""
        return PREFIX + self.name


MODEL = ("engine", "model")
STAGE = ("stage", *MODEL)

TURNS = Metric("counter", "parle_turns_total", "Turns that ended, by outcome.", ("route", "order", "outcome"))
CANCELLED = Metric(
    "counter",
    "parle_turns_cancelled_total",
    "Turns that the client cancelled or disconnected from, by stage.",
    ("route", "stage"),
)
ERRORS = Metric(
    "counter",
    "parle_errors_total",
    "Errors sent to clients, by code; stage `request`: the request was refused before its turn.",
    ("route", "stage", "code"),
)
IN_FLIGHT = Metric("gauge", "parle_turns_in_flight", "Turns in flight.")
SESSIONS = Metric("gauge", "parle_sessions_open", "Open WebSockets.")
FIRST_AUDIO = Metric(
    "histogram",
    "parle_first_audio_seconds",
    "From the end of the upload to the first audio event.",
    ("route", "order"),
    SPOKEN_BUCKETS,
)
TURN = Metric(
    "histogram",
    "parle_turn_seconds",
    "From the end of the upload to the end of a complete turn.",
    ("route", "order"),
    TURN_BUCKETS,
)
QUEUE = Metric(
    "histogram",
    "parle_stage_queue_seconds",
    "From the call of a stage to the start of its work, including Ray's transport.",
    STAGE,
    QUEUE_BUCKETS,
)
COMPUTE = Metric(
    "histogram",
    "parle_stage_compute_seconds",
    "Work of a stage on one call; a reply takes several calls of tts.",
    STAGE,
    COMPUTE_BUCKETS,
)
BUSY = Metric(
    "counter",
    "parle_stage_busy_seconds_total",
    "The same as an exact sum: its rate is the number of busy workers of the stage.",
    STAGE,
)
AUDIO = Metric("counter", "parle_stage_audio_seconds_total", "Speech transcribed (stt) or synthesised (tts).", STAGE)
FIRST_TOKEN = Metric(
    "histogram",
    "parle_first_token_seconds",
    "From the call of the LLM to the first text of the reply, including the queue.",
    MODEL,
    SPOKEN_BUCKETS,
)
TOKENS = Metric(
    "counter",
    "parle_llm_tokens_total",
    "Tokens, by kind: prompt (cached ones included), cached, completion.",
    (*MODEL, "kind"),
)
FACTOR = Metric(
    "histogram",
    "parle_speech_real_time_factor",
    "Processing time / duration of one turn's speech: lower is faster, 1 just keeps up with playback.",
    MODEL,
    FACTOR_BUCKETS,
)

METRICS = (
    *(TURNS, CANCELLED, ERRORS, IN_FLIGHT, SESSIONS, FIRST_AUDIO, TURN, QUEUE, COMPUTE, BUSY, AUDIO),
    *(FIRST_TOKEN, TOKENS, FACTOR),
)


class Metrics:
    """The Ray metrics of this process. Create it inside a replica, or Serve's labels are missing."""

    def __init__(self) -> None:
        self._made = {metric.name: _make(metric) for metric in METRICS}

    def add(self, counter: Metric, amount: float, **labels: str) -> None:
        """Count `amount`. Ray refuses 0, so 0 is skipped."""
        instrument = self._made[counter.name]
        assert isinstance(instrument, ray_metrics.Counter)
        if amount:
            instrument.inc(amount, labels)

    def set(self, gauge: Metric, value: float) -> None:
        instrument = self._made[gauge.name]
        assert isinstance(instrument, ray_metrics.Gauge)
        instrument.set(value, {})

    def observe(self, histogram: Metric, value: float, **labels: str) -> None:
        instrument = self._made[histogram.name]
        assert isinstance(instrument, ray_metrics.Histogram)
        instrument.observe(value, labels)


def _make(metric: Metric) -> ray_metrics.Counter | ray_metrics.Gauge | ray_metrics.Histogram:
    labels: Any = metric.labels  # Ray's annotation is of a tuple of one
    match metric.kind:
        case "counter":
            return ray_metrics.Counter(metric.name, metric.description, labels)
        case "gauge":
            return ray_metrics.Gauge(metric.name, metric.description, labels)
        case "histogram":
            return ray_metrics.Histogram(metric.name, metric.description, list(metric.buckets), labels)
