"""A stack is changed from a second shell, with an edited file, while a learner is being answered."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.clients import Answer, answered_or_told, ask, asking, post
from support.servers import Server
from support.speech import Speaker
from support.waiting import wait_for
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from serve_app.lesson.tutor_prompt import default_prompt

pytestmark = [pytest.mark.server, pytest.mark.harms_server(2)]

QWEN = "wheel:qwen2.5-coder-1.5b-instruct"
DEPLOYMENTS = ("SpeechToText", "TutorLLM", "TextToSpeech", "Ingress")
Stack = dict[str, Any]
Change = Callable[[Stack], None]


@pytest.fixture(scope="module")
def stack(small_stack: Path) -> Stack:
    return yaml.safe_load(small_stack.read_text("utf-8"))


@pytest.fixture(scope="module")
def question(speech: Speaker) -> bytes:
    return speech.recording("Minha namorada fala português muito bem.")


def settings_of(stack: Stack, deployment: str) -> dict[str, Any]:
    [found] = [entry for entry in stack["applications"][0]["deployments"] if entry["name"] == deployment]
    return found["user_config"]


def deploy(server: Server, stack: Stack, path: Path) -> None:
    """As the server's terminal says: `serve deploy FILE -a URL`."""
    path.write_text(yaml.safe_dump(stack, allow_unicode=True), "utf-8")
    told = re.search(r"RAY_AUTH_MODE=(\w+) serve deploy \S+ -a (\S+)", server.log.read_text("utf-8"))
    assert told is not None
    command = [str(Path(sys.executable).with_name("serve")), "deploy", str(path), "-a", told[2]]
    subprocess.run(command, check=True, env={**os.environ, "RAY_AUTH_MODE": told[1]}, timeout=60, capture_output=True)


def while_speaking(server: Server, question: bytes, act: Callable[[], None]) -> Answer:
    """A turn in whose middle, once the tutor has begun to speak, `act` is done."""
    with asking(server.url, question, order="eager") as events:
        seen = [next(events)]
        while seen[-1].name != "audio":
            seen.append(next(events))
        act()
        return Answer([*seen, *events])


def replicas(server: Server) -> dict[str, set[int]]:
    return {name: server.replica_ids(name) for name in DEPLOYMENTS}


def test_voice_sampling_prompt_and_limits_change_in_place_and_no_turn_is_dropped(
    small_server: Server, stack: Stack, question: bytes, tmp_path: Path
) -> None:
    before, work = replicas(small_server), small_server.work()["llm"]
    too_long_by_then = post(small_server.url, question)
    assert too_long_by_then.status_code == 200
    edited = deepcopy(stack)
    settings_of(edited, "TextToSpeech").update(voice="pm_santa", speed=1.3)
    settings_of(edited, "TutorLLM")["sampling"] = {"temperature": 0.0}
    prompt = default_prompt().model_dump()
    settings_of(edited, "TutorLLM")["prompt"] = {**prompt, "system": f"Hoje chove. {prompt['system']}"}
    settings_of(edited, "Ingress")["limits"] = {"max_audio_s": 0.5}

    turn = while_speaking(small_server, question, lambda: deploy(small_server, edited, tmp_path / "edited.yaml"))

    assert turn.last.name == "complete"
    wait_for(lambda: small_server.info()["limits"]["max_audio_s"] == 0.5, 30, "the new limit")
    assert post(small_server.url, question).json()["code"] == "too_long"
    # The new prompt was read by the model that was there before: nothing was loaded anew.
    wait_for(lambda: small_server.work()["llm"] > work + 10, 30, "the new prompt to be read")
    assert replicas(small_server) == before

    settings_of(edited, "Ingress")["limits"] = {}
    deploy(small_server, edited, tmp_path / "edited.yaml")
    wait_for(lambda: small_server.info()["limits"]["max_audio_s"] == 20, 30, "the old limit")
    replies = {ask(small_server.url, question).one("response")["response"] for _ in range(3)}
    assert len(replies) == 1, "with temperature 0 the same question gets the same answer"
    assert replicas(small_server) == before


def test_a_model_is_swapped_and_whoever_speaks_then_is_answered_or_told(
    small_server: Server, stack: Stack, question: bytes, tmp_path: Path
) -> None:
    """And the level stage and the WebSocket go, which this stack can do without."""
    before = replicas(small_server)
    edited = deepcopy(stack)
    application = edited["applications"][0]
    application["args"]["llm"] = {"engine": "llama-cpp", "model": QWEN, "context_tokens": 2048}
    application["args"]["routes"] = ["sse"]
    del application["args"]["cefr"]
    application["deployments"] = [one for one in application["deployments"] if one["name"] != "CefrClassifier"]

    turn = while_speaking(small_server, question, lambda: deploy(small_server, edited, tmp_path / "swapped.yaml"))

    answered_or_told(turn, "stage_lost", "stage_unavailable", "cancelled")

    def swapped() -> bool:
        answer = small_server.get("/api/info")
        model = answer.json()["stages"]["llm"]["model"] if answer.status_code == 200 else ""
        return model == QWEN and small_server.get("/readyz").status_code == 200

    wait_for(swapped, 120, "the other model")
    turn = ask(small_server.url, question)
    assert turn.names == [
        *("status stt", "transcript", "status llm", "delta", "response", "status tts", "audio", "complete")
    ]
    assert not before["TutorLLM"] & small_server.replica_ids("TutorLLM")
    assert small_server.info()["routes"] == ["sse"]
    with pytest.raises(InvalidStatus) as refused:
        connect(small_server.url.replace("http", "ws", 1) + "/ws/stream")
    assert refused.value.response.status_code == 403  # what HTTP has for a WebSocket closed before it was accepted
