"""The routes that are always on, of a real server."""

from __future__ import annotations

import grpc
import httpx
import psutil
import pytest
from support.servers import Server, family
from support.speech import VOICE_NAMES, Speaker

from serve_app import __version__

pytestmark = pytest.mark.server


def test_a_server_that_lives_says_so(small_server: Server) -> None:
    answer = small_server.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_server_is_ready_when_every_stage_is(small_server: Server) -> None:
    answer = small_server.get("/readyz")
    assert answer.status_code == 200
    stages = dict.fromkeys(("stt", "cefr", "llm", "tts"), True)
    assert answer.json() == {"ready": True, "stages": stages, "store": True}


def test_the_models_run_at_the_servers_own_priority(small_server: Server) -> None:
    """Ray would run them at nice 15."""
    for deployment in ("SpeechToText", "TutorLLM", "TextToSpeech", "Ingress"):
        assert small_server.replica(deployment).nice() == small_server.process.nice()


def test_nothing_listens_to_other_machines_without_asking_for_rays_token(small_server: Server) -> None:
    """Ray's control service, job API, agents and metrics are on this machine only; replicas have a port for calls."""
    listening = [
        (process.name(), connection.laddr.ip, connection.laddr.port)
        for process in family(small_server.process)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    seen_outside = [one for one in listening if one[1] not in ("127.0.0.1", "::ffff:127.0.0.1")]
    assert len(listening) > len(seen_outside) == 5, seen_outside
    for name, _, port in seen_outside:
        assert name.startswith("ray::ServeRepl"), name
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary("/ray.serve.ASGIService/HandleRequest")(b"", timeout=30)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


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
    assert info["routes"] == ["sse", "websocket", "web", "openai", "realtime", "pronunciation"]
    assert set(info["voices"]) == set(VOICE_NAMES)
    assert info["limits"]["max_audio_s"] == 20


def test_a_repeated_sentence_is_scored_word_by_word(small_server: Server, speech: Speaker) -> None:
    right = "Minha mãe cozinha muito bem."
    recording = speech.recording("Minha mãe cozinho muito bem.", "pm_santa")
    answer = httpx.post(
        f"{small_server.url}/api/pronunciation",
        files={"audio": ("said.wav", recording)},
        data={"text": right},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    words = answer.json()["words"]
    assert [word["word"] for word in words] == right.rstrip(".").split()
    assert min(words, key=lambda word: word["score"])["word"] == "cozinha"
