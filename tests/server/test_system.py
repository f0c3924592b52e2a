"""The routes that are always on, of a real server."""

from __future__ import annotations

import psutil
import pytest
from support.servers import Server, family
from support.speech import VOICE_NAMES

from serve_app import __version__

pytestmark = pytest.mark.server


def test_a_server_that_lives_says_so(small_server: Server) -> None:
    answer = small_server.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_server_is_ready_when_every_stage_is(small_server: Server) -> None:
    answer = small_server.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "stages": dict.fromkeys(("stt", "cefr", "llm", "tts"), True)}


def test_the_models_run_at_the_servers_own_priority(small_server: Server) -> None:
    """Ray would run them at nice 15."""
    for deployment in ("SpeechToText", "TutorLLM", "TextToSpeech", "Ingress"):
        assert small_server.replica(deployment).nice() == small_server.process.nice()


def test_nothing_listens_to_other_machines(small_server: Server) -> None:
    """Ray's control service, job API, agents and metrics, too."""
    listening = {
        connection.laddr.ip
        for process in family(small_server.process)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_info_tells_models_routes_voices_and_limits(small_server: Server) -> None:
    info = small_server.info()
    assert (info["name"], info["version"]) == ("parle", __version__)
    assert {name: stage["engine"] for name, stage in info["stages"].items()} == {
        "stt": "faster-whisper",
        "cefr": "lexical",
        "llm": "llama-cpp",
        "tts": "kokoro-onnx",
    }
    assert info["stages"]["llm"]["model"] == "wheel:gemma-3-270m"
    assert info["routes"] == ["sse", "websocket", "web"]
    assert set(info["voices"]) == set(VOICE_NAMES)
    assert info["limits"]["max_audio_s"] == 20
