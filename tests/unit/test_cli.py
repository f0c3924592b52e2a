"""The command `parle` where nothing starts: what it prints and how it ends. tests/server has what starts a server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.command_line import Parle, edited, only_line, run
from support.paths import CONFIGS, ROOT
from support.servers import free_port

from serve_app import __version__
from serve_app.launch import preflight

GPU_LINE = "there is none here; run the CPU stack instead: parle serve configs/cpu_stack.yaml"

without_gpu = pytest.mark.skipif(preflight.cards() > 0, reason="this machine has a GPU")


@pytest.fixture
def parle(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Parle:
    monkeypatch.chdir(ROOT)
    return Parle(capsys)


@contextmanager
def few_seconds() -> Iterator[None]:
    """Of work, whatever else the machine does; Ray alone would take more, and nothing is waited for."""
    began, before = time.monotonic(), sum(os.times()[:4])
    yield
    assert sum(os.times()[:4]) - before < 8
    assert time.monotonic() - began < 60


def test_the_installed_programs_tell_their_version_and_end_with_one_line() -> None:
    assert __version__ in run("parle", "--version").stdout
    assert "No such command 'chek'" in only_line(run("parle", "chek"), 2)
    file = CONFIGS / "modal_stack.yaml"
    if not preflight.cards():
        assert only_line(run("parle", "serve", file, PORT="0"), 1).endswith(GPU_LINE)


def test_help_waits_for_no_library() -> None:
    heavy = ("ray", "numpy", "httpx", "fastapi")
    asked = f"import sys; import serve_app.cli.main; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_it_says_its_version_and_its_help(parle: Parle) -> None:
    assert __version__ in parle("--version").stdout
    for command in ("serve", "pull", "check", "deploy", "status", "talk"):
        help_text = parle(command, "--help").stdout
        assert f"Usage: parle {command}" in help_text
        assert f"  parle {command} " in help_text  # an example


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["chek"], "No such command 'chek'. Did you mean 'check'?"),
        (["check"], "Missing argument 'FILE'"),
        (["check", "--gpu", "L4"], "Missing argument 'FILE'"),
        (
            ["check", "configs/modal_stack.yaml", "--gpu", "RTX 4080"],
            "unknown GPU 'RTX 4080'; did you mean 'RTX 4090'?",
        ),
        (["serve", "configs/cpu_stack.yaml", "--port", "many"], "'many' is not a valid integer"),
        (
            ["serve", "configs/cpu_stack.yaml", "--address", "auto", "--metrics-port", "8080"],
            "--metrics-port does not go with --address",
        ),
        (["talk", "nothing.wav"], "'nothing.wav' does not exist"),
        (["talk", "README.md", "--speed", "9"], "is not in the range"),
        (["talk", "README.md", "--level", "A3"], "is not one of"),
        (["talk", "README.md", "--ws", "--order", "eager"], "--order is for SSE"),
        (["talk", "README.md", "--url", "localhost:8000"], "--url must look like http://127.0.0.1:8000"),
        (["talk", "README.md", "--url", "http://127.0.0.1:99999"], "--url must look like"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(parle: Parle, args: list[str], sentence: str) -> None:
    assert sentence in only_line(parle(*args), 2)


def test_check_of_the_cpu_stack_summarises_it(parle: Parle) -> None:
    ended = parle("check", CONFIGS / "cpu_stack.yaml")
    assert ended.returncode == 0, ended.stderr
    for part in ("faster-whisper", "wheel:whisper-base", "lexical", "llama-cpp", "kokoro-onnx", "sse, websocket"):
        assert part in ended.stdout


def test_spans_that_cannot_be_sent_are_refused_before_anything_starts(parle: Parle) -> None:
    asked: dict[str, Any] = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    }
    for command in ("check", "serve"):
        line = only_line(parle(command, CONFIGS / "cpu_stack.yaml", PORT="0", **asked), 1)
        assert line.endswith("Spans are sent by http/protobuf, not by grpc: unset OTEL_EXPORTER_OTLP_PROTOCOL.")


def test_check_tells_every_fault_on_a_line_of_its_own(parle: Parle, tmp_path: Path) -> None:
    file = edited(tmp_path, "cpu_stack.yaml", ("max_turns", "max_turn"), ("voice:", "vioce:"))
    ended = parle("check", file)
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert [line.rsplit("did you mean ", 1)[1] for line in lines] == ["'max_turns'?", "'voice'?"]
    assert all(line.startswith(f"parle: {file}:") for line in lines)
    assert ended.stdout == ""


def test_check_for_a_card_shows_what_each_stage_has_and_needs_of_it(parle: Parle) -> None:
    ended = parle("check", CONFIGS / "modal_stack.yaml", "--gpu", "l4")
    assert ended.returncode == 0, ended.stderr
    first, head, *stages, last = ended.stdout.splitlines()
    assert "on one L4, 21.93 GiB usable" in first
    assert head.split()[:4] == ["stage", "model", "share", "GiB"]
    assert [line.split()[:3] for line in stages] == [
        ["stt", "openai/whisper-large-v3-turbo", "0.2"],
        ["llm", "mistralai/Ministral-3-3B-Instruct-2512-BF16", "0.52"],
        ["tts", "Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice", "0.2"],
    ]
    assert last.startswith("fits; ")


def test_check_for_a_card_that_is_too_small_says_what_lacks(parle: Parle, tmp_path: Path) -> None:
    file = edited(tmp_path, "modal_stack.yaml", ("num_gpus: 0.52", "num_gpus: 0.3"))
    ended = parle("check", file, "--gpu", "A10G")
    assert only_line(ended, 1).startswith("parle: does not fit: llm needs 8.23 GiB (weights 6.39,")
    assert "num_gpus would fit: stt 0.16, llm 0." in ended.stderr
    assert "tts    Qwen/Qwen3-TTS" in ended.stdout


def test_check_of_the_cpu_stack_for_a_card_needs_none(parle: Parle) -> None:
    assert parle("check", CONFIGS / "cpu_stack.yaml", "--gpu", "H100").stdout.endswith("no stage uses a GPU\n")


@without_gpu
@pytest.mark.parametrize("command", ["check", "serve"])
@pytest.mark.parametrize("file", ["local_stack.yaml", "modal_stack.yaml"])
def test_a_gpu_stack_without_a_gpu_ends_within_seconds(parle: Parle, command: str, file: str, tmp_path: Path) -> None:
    with few_seconds():
        line = only_line(parle(command, edited(tmp_path, file)), 1)
    assert line.endswith(GPU_LINE)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_refused_before_anything_starts(parle: Parle, host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with few_seconds():
            line = only_line(parle("serve", CONFIGS / "cpu_stack.yaml", HOST=host, PORT=str(port)), 1)
    assert f"cannot serve on {host}:{port}: something else listens there" in line


def test_a_taken_port_for_the_metrics_is_refused_before_anything_starts(parle: Parle) -> None:
    """Ray's agent would die of it, and take Ray along."""
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = only_line(parle("serve", CONFIGS / "cpu_stack.yaml", PORT="0", METRICS_PORT=port), 1)
    assert f":{port}: something else listens there" in line
    assert line.endswith("METRICS_PORT=... or --metrics-port")


@pytest.mark.parametrize(
    ("host", "port"), [("203.0.113.7", "8000"), ("127.0.0.1", "70000"), ("no.such.host.invalid", "80")]
)
def test_an_address_that_is_not_ours_is_refused(parle: Parle, host: str, port: str) -> None:
    assert port in only_line(parle("serve", CONFIGS / "cpu_stack.yaml", HOST=host, PORT=port), 1)


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that gives every client the same bytes and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.settimeout(0.3)
                    while _received(client):
                        pass
                    client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _received(client: socket.socket) -> bytes:
    try:
        return client.recv(65536)
    except TimeoutError:
        return b""


SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
NO_SPEECH = b'event: error\ndata: {"code": "no_speech", "message": "Say it again.", "stage": "stt"}\n\n'
FULL = b'HTTP/1.1 503 Busy\r\nContent-Length: 44\r\n\r\n{"code": "busy", "message": "Full for now."} '


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (FULL, "refused (HTTP 503): Full for now."),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nnothing", "refused (HTTP 404): nothing"),
        (SSE + b'event: status\ndata: {"stage": "stt"}\n\n', "the server ended the answer before it was complete"),
        (SSE + b"event: status\ndata: no JSON\n\n", "does not answer as a Parle server does"),
        (SSE + NO_SPEECH, "the turn failed: Say it again."),
        (b"", "broke off"),
    ],
    ids=["full", "no such route", "cut off", "not ours", "no speech", "hung up"],
)
def test_talk_says_in_one_line_why_there_is_no_answer(parle: Parle, answer: bytes, sentence: str) -> None:
    with answering(answer) as url:
        assert sentence in only_line(parle("talk", "README.md", "--url", url), 1)


@pytest.mark.parametrize("over", [[], ["--ws"]], ids=["sse", "websocket"])
def test_talk_without_a_server_says_how_to_start_one(parle: Parle, over: list[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    line = only_line(parle("talk", "README.md", "--url", url, *over), 1)
    assert f"no server at {url}" in line
    assert line.endswith("start one: parle serve configs/cpu_stack.yaml")


def test_talk_over_a_websocket_that_is_refused_says_so(parle: Parle) -> None:
    with answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as url:
        line = only_line(parle("talk", "README.md", "--url", url, "--ws"), 1)
    assert "HTTP 403; this stack has no websocket route" in line


# --- deploy and status -------------------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
NO_DASHBOARD = [
    (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "wants its token: run this as the user who started"),
    (
        b"HTTP/1.1 400 Bad\r\nContent-Length: 23\r\n\r\nValueError: no such app",
        "Serve refuses: ValueError: no such app",
    ),
    (b"", "no Ray dashboard answers at http://"),
]


@pytest.mark.parametrize("command", ["deploy", "status"])
@pytest.mark.parametrize(("answer", "sentence"), NO_DASHBOARD, ids=["no token", "refused", "hung up"])
def test_a_dashboard_that_refuses_is_told_in_one_line(parle: Parle, command: str, answer: bytes, sentence: str) -> None:
    file = [CONFIGS / "cpu_stack.yaml"] if command == "deploy" else []
    with answering(answer) as url:
        assert sentence in only_line(parle(command, *file, "-a", url), 1)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (OK + b"<html>", "is no Ray dashboard with Serve"),
        (OK + b'{"applications": {}}', "nothing is served by the Ray of http://"),
    ],
    ids=["something else", "nothing served"],
)
def test_status_says_in_one_line_what_is_missing(parle: Parle, answer: bytes, sentence: str) -> None:
    with answering(answer) as url:
        assert sentence in only_line(parle("status", "-a", url), 1)


def test_deploy_asks_nobody_before_the_file_is_right(parle: Parle, tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    typo = edited(tmp_path, "cpu_stack.yaml", ("temperature", "temprature"))
    assert "did you mean 'temperature'?" in only_line(parle("deploy", typo, "-a", nobody), 1)
    voice = edited(tmp_path, "cpu_stack.yaml", ("pf_dora", "robot"))
    assert "no voice 'robot' here; choose one of: pf_dora" in only_line(parle("deploy", voice, "-a", nobody), 1)
    right = edited(tmp_path, "cpu_stack.yaml")
    assert f"no Ray dashboard answers at {nobody}" in only_line(parle("deploy", right, "-a", nobody), 1)
