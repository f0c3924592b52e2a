"""From a TurnRecord to metrics with labels, and to one log line that contains no speech."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator

import pytest
from ray._common.formatters import JSONFormatter
from support import recorded
from support.lesson import busy_house
from support.lesson import recorded as turn_of
from support.paths import ROOT
from support.recorded import Recorded
from support.stages import House

from serve_app.config.stack import KokoroConfig, LexicalCefrConfig, StackArgs
from serve_app.errors import BadAudio, StageFailed
from serve_app.lesson.events import Spoken
from serve_app.observe import metrics
from serve_app.observe.metrics import METRICS
from serve_app.observe.observer import Observer, public_model

ARGS = StackArgs(cefr=LexicalCefrConfig(engine="lexical"))
STT = {"stage": "stt", "engine": "faster-whisper", "model": "wheel:whisper-base"}
LLM = {"engine": "llama-cpp", "model": "wheel:qwen2.5-coder-1.5b-instruct"}
TTS = {"engine": "kokoro-onnx", "model": "wheel:kokoro-82m"}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return recorded.keep(monkeypatch)


@pytest.fixture
def observer(seen: Recorded) -> Observer:
    return Observer(ARGS)


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """The log lines as Ray's `encoding: JSON` formats them."""
    written: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(self.format(record))

    handler, logger = Keep(), logging.getLogger("ray.serve")
    handler.setFormatter(JSONFormatter())
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)


# --- metrics -----------------------------------------------------------------------------------------------


async def test_a_complete_turn_is_counted_with_its_stages(observer: Observer, seen: Recorded) -> None:
    record = await turn_of(busy_house())
    observer.turn_ended(record)
    way = {"route": "sse", "order": "eager"}
    assert seen.one("parle_turns_total", **way, outcome="complete") == 1
    assert seen.one("parle_turn_seconds", **way) == pytest.approx(record.seconds)
    assert seen.one("parle_first_audio_seconds", **way) == record.first_audio_s
    assert seen.one("parle_stage_queue_seconds", **STT) == record.calls[0].queue_s
    assert seen.one("parle_stage_compute_seconds", **STT) == pytest.approx(0.05)
    assert seen.one("parle_stage_busy_seconds_total", **STT) == pytest.approx(0.05)
    assert seen.one("parle_stage_audio_seconds_total", **STT) == pytest.approx(2.0)
    assert seen.one("parle_first_token_seconds", **LLM) > 0.15
    assert seen.one("parle_llm_tokens_total", **LLM, kind="prompt") == 100
    assert seen.one("parle_llm_tokens_total", **LLM, kind="completion") == 13
    assert seen.of("parle_llm_tokens_total", kind="cached") == []  # none were
    pieces = len(seen.of("parle_stage_compute_seconds", stage="tts"))
    assert pieces > 1
    assert sum(seen.of("parle_stage_audio_seconds_total", stage="tts", **TTS)) == pytest.approx(0.2 * pieces)
    assert seen.one("parle_speech_real_time_factor", **TTS) == pytest.approx(0.2)
    assert seen.of("parle_errors_total") == seen.of("parle_turns_cancelled_total") == []


async def test_an_engine_without_a_model_says_none(observer: Observer, seen: Recorded) -> None:
    observer.turn_ended(await turn_of(busy_house()))
    assert {sample.labels["model"] for sample in seen.samples if sample.labels.get("stage") == "cefr"} <= {"none"}
    assert public_model(LexicalCefrConfig(engine="lexical")) is None


@pytest.mark.parametrize(
    ("model", "label"),
    [("hexgrad/Kokoro-82M", "hexgrad/Kokoro-82M"), ("/home/ana/models/kokoro", "kokoro"), ("./k.gguf", "k.gguf")],
)
def test_a_local_model_shows_only_the_last_part_of_its_path(model: str, label: str) -> None:
    assert public_model(KokoroConfig(engine="kokoro", model=model, num_gpus=0.1)) == label


async def test_an_error_is_counted_by_code_and_stage(observer: Observer, seen: Recorded) -> None:
    house = busy_house()
    house.tts.work.fails_with = StageFailed("gone", code="stage_lost", stage="tts")
    observer.turn_ended(await turn_of(house))
    assert seen.one("parle_errors_total", route="sse", stage="tts", code="stage_lost") == 1
    assert seen.one("parle_turns_total", outcome="error") == 1
    assert seen.of("parle_turn_seconds") == []
    assert seen.of("parle_stage_compute_seconds", stage="tts") == []  # it did not come to an end
    assert len(seen.of("parle_stage_compute_seconds", stage="stt")) == 1


async def test_a_cancelled_turn_is_counted_with_the_first_audio_it_had(observer: Observer, seen: Recorded) -> None:
    house = busy_house()
    house.llm.word_s = 0.05
    observer.turn_ended(await turn_of(house, until=Spoken))
    assert seen.one("parle_turns_cancelled_total", route="sse", stage="tts") == 1
    assert seen.one("parle_turns_total", outcome="cancelled") == 1
    assert len(seen.of("parle_first_audio_seconds")) == 1
    assert seen.of("parle_errors_total") == []


def test_a_refused_request_is_counted_and_still_refused(observer: Observer, seen: Recorded) -> None:
    with pytest.raises(BadAudio), observer.refusals("sse"):
        raise BadAudio("x", code="no_audio")
    with pytest.raises(RuntimeError), observer.refusals("websocket"):
        raise RuntimeError("x")
    assert seen.one("parle_errors_total", route="sse", stage="request", code="no_audio") == 1
    assert seen.one("parle_errors_total", route="websocket", stage="request", code="internal") == 1


async def test_a_turn_that_cannot_be_counted_is_logged_all_the_same(
    seen: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "ray.serve"):
        Observer(StackArgs()).turn_ended(await turn_of(busy_house()))  # this stack has no "cefr" to count
    failed, line = caplog.records
    assert (failed.message, failed.levelname) == ("a turn was not fully recorded", "WARNING")
    assert "KeyError: 'cefr'" in caplog.text
    assert line.message.startswith("turn t-1: complete")


def test_turns_and_sessions_in_flight_are_told_from_the_start(observer: Observer, seen: Recorded) -> None:
    observer.in_flight(2)
    assert seen.of("parle_turns_in_flight") == [0, 2]
    assert seen.of("parle_sessions_open") == [0]


async def test_every_metric_is_recorded_by_some_turn_or_request(observer: Observer, seen: Recorded) -> None:
    house = busy_house()
    observer.turn_ended(await turn_of(house))
    house.llm.word_s = 0.05
    observer.turn_ended(await turn_of(house, until=Spoken))
    with pytest.raises(BadAudio), observer.refusals("sse"):
        raise BadAudio("x")
    assert {sample.name for sample in seen.samples} == {metric.name for metric in METRICS}


async def test_recording_a_turn_takes_next_to_nothing(observer: Observer) -> None:
    record = await turn_of(busy_house())
    started = time.process_time()
    for _ in range(100):
        observer.turn_ended(record)
    assert (time.process_time() - started) / 100 < 0.005


# --- names -------------------------------------------------------------------------------------------------

UNITS = {"seconds", "total", "factor", "flight", "open"}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metrics_name_says_what_it_is_and_its_unit(metric: metrics.Metric) -> None:
    assert re.fullmatch(r"parle_[a-z_]+", metric.name)
    assert metric.name.rsplit("_", 1)[-1] in UNITS
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert metric.description.endswith(".")
    assert (metric.kind == "histogram") == bool(metric.buckets)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert not {"session", "session_id", "turn", "turn_id", "text"} & set(metric.labels)


def test_the_table_of_the_docs_is_this_one() -> None:
    text = (ROOT / "docs/observability.md").read_text("utf-8")
    table = text.split("<!-- metrics -->")[1]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.strip().splitlines()[2:]]
    assert rows == [
        (f"`{metric.exported}`", metric.kind, ", ".join(f"`{label}`" for label in metric.labels), metric.description)
        for metric in METRICS
    ]


# --- the log -----------------------------------------------------------------------------------------------


async def test_a_turn_is_one_line_of_json_with_its_id_and_times(observer: Observer, lines: list[str]) -> None:
    record = await turn_of(busy_house())
    observer.turn_ended(record)
    [line] = lines
    told = json.loads(line)
    assert told["levelname"] == "INFO"
    assert told["message"].startswith("turn t-1: complete after ")
    turn = told["turn"]
    assert (turn["id"], turn["route"], turn["order"], turn["outcome"]) == ("t-1", "sse", "eager", "complete")
    assert turn["first_audio_s"] == record.first_audio_s
    assert turn["real_time_factor"] == 0.2
    assert [call["stage"] for call in turn["calls"]][:3] == ["stt", "cefr", "llm"]
    assert turn["calls"][0].items() >= {"finished": True, "compute_s": 0.05, "audio_s": 2.0}.items()
    assert turn["calls"][2].items() >= {"prompt_tokens": 100, "cached_tokens": 0, "completion_tokens": 13}.items()


async def test_a_failed_turn_is_a_warning_with_its_code(observer: Observer, lines: list[str]) -> None:
    house = House()
    house.llm.work.fails_with = StageFailed("secret", code="stage_lost", stage="llm")
    observer.turn_ended(await turn_of(house))
    [line] = lines
    told = json.loads(line)
    assert told["levelname"] == "WARNING"
    assert (told["turn"]["outcome"], told["turn"]["code"], told["turn"]["stage"]) == ("error", "stage_lost", "llm")
    assert "secret" not in line


async def test_nothing_that_was_said_and_no_name_of_a_session_leaves(
    observer: Observer, seen: Recorded, lines: list[str]
) -> None:
    house = busy_house()
    observer.turn_ended(await turn_of(house))
    left = "\n".join([*lines, *(str(sample) for sample in seen.samples)])
    assert "aula" not in left
    for word in re.findall(r"\w{5,}", f"{house.stt.text} {house.llm.reply_text}"):
        assert word not in left


async def test_turns_of_one_session_are_known_as_such_in_one_process_only(seen: Recorded, lines: list[str]) -> None:
    record = await turn_of(House())
    first, second = Observer(ARGS), Observer(ARGS)
    for observer in (first, first, second):
        observer.turn_ended(record)
    one, again, elsewhere = [json.loads(line)["turn"]["session"] for line in lines]
    assert one == again != elsewhere
