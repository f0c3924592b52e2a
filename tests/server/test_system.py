"""The routes that are always on, of a real server."""

from __future__ import annotations

import pytest
from support.clients import ask
from support.servers import Server
from support.speech import VOICE_NAMES, Speaker

from serve_app import __version__

pytestmark = pytest.mark.server


def test_a_server_that_lives_says_so(server: Server) -> None:
    answer = server.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_server_is_ready_when_every_stage_is(server: Server, small_server: Server) -> None:
    for running, stages in ((server, {"stt", "cefr", "llm", "tts"}), (small_server, {"stt", "llm", "tts"})):
        running.wait_until_ready()
        answer = running.get("/readyz")
        assert answer.status_code == 200
        assert answer.json() == {"ready": True, "stages": dict.fromkeys(stages, True)}


def test_the_models_run_at_the_servers_own_priority(server: Server) -> None:
    """Ray would run them at nice 15."""
    for deployment in ("SpeechToText", "TutorLLM", "TextToSpeech", "Ingress"):
        assert server.replica(deployment).nice() == server.process.nice()


def test_info_tells_models_routes_voices_and_limits(server: Server) -> None:
    info = server.info()
    assert (info["name"], info["version"]) == ("parle", __version__)
    assert {name: stage["engine"] for name, stage in info["stages"].items()} == {
        "stt": "faster-whisper",
        "cefr": "lexical",
        "llm": "llama-cpp",
        "tts": "kokoro-onnx",
    }
    assert info["stages"]["llm"]["model"] == "wheel:qwen2.5-coder-1.5b-instruct"
    assert info["routes"] == ["sse", "websocket", "web"]
    assert set(info["voices"]) == set(VOICE_NAMES)
    assert info["limits"]["max_audio_s"] == 60


def test_info_tells_what_another_stack_has(small_server: Server) -> None:
    info = small_server.info()
    assert info["routes"] == ["sse"]
    assert "cefr" not in info["stages"]
    assert (info["limits"]["max_audio_s"], info["limits"]["max_turns"]) == (8, 1)


def test_a_stack_without_the_level_stage_sends_no_level(small_server: Server, speech: Speaker) -> None:
    turn = ask(small_server.url, speech.recording("Eu gosto de café."))
    assert turn.names == [
        *("status stt", "transcript", "status llm", "delta", "response", "status tts", "audio", "complete")
    ]
