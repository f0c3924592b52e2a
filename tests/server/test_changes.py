"""A stack is changed from a second shell, with an edited file, while a learner is being answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from support.clients import Answer, answered_or_told, ask, asking, post, talking
from support.command_line import run
from support.servers import Server
from support.speech import Speaker
from support.waiting import wait_for
from websockets.exceptions import ConnectionClosed, InvalidStatus
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


def dashboard(server: Server) -> str:
    """As the server's terminal says: `parle deploy FILE -a URL`."""
    told = re.search(r"parle deploy \S+ -a (\S+)", server.log.read_text("utf-8"))
    assert told is not None
    return told[1]


def deploy(server: Server, stack: Stack, path: Path) -> None:
    """With Ray's own command, which checks little and does not wait."""
    path.write_text(yaml.safe_dump(stack, allow_unicode=True), "utf-8")
    ended = run("serve", "deploy", path, "-a", dashboard(server), RAY_AUTH_MODE="token")
    assert ended.returncode == 0, ended


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


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "SpeechToText": ({"langage": "pt"}, "unknown key 'langage'; did you mean 'language'?"),
    "TutorLLM": ({"sampling": {"temprature": 0.0}}, "unknown key 'temprature'; did you mean 'temperature'?"),
    "TextToSpeech": ({"voice": "robot"}, "There is no voice 'robot' here; choose one of: pf_dora, pm_alex, pm_santa."),
    "Ingress": ({"limits": {"max_turns": 0}}, "max_turns: Input should be greater than or equal to 1"),
}
"""A wrong user_config, and what is said of it."""


def test_wrong_settings_leave_what_serves_as_it_is_and_it_is_said_which(
    small_server: Server, stack: Stack, question: bytes, tmp_path: Path
) -> None:
    before, limits, address = replicas(small_server), small_server.info()["limits"], dashboard(small_server)
    edited = deepcopy(stack)
    for deployment, (wrong, _) in WRONG.items():
        settings_of(edited, deployment).clear()
        settings_of(edited, deployment).update(wrong)

    deploy(small_server, edited, tmp_path / "wrong.yaml")
    wait_for(lambda: set(small_server.info()["refused_settings"]) == set(WRONG), 30, "all of them to be refused")
    status = run("parle", "status", "-a", address)
    told = [*small_server.info()["refused_settings"].items()]
    for name, why in told:
        assert WRONG[name][1] in why
        assert f"parle: {name} keeps its old settings. {why}" in status.stderr.splitlines()
        wait_for(lambda line=f"{name} keeps its old settings. {why}": line in log(small_server), 30, "the terminal")
    assert status.returncode == 1
    assert replicas(small_server) == before
    assert ask(small_server.url, question).last.name == "complete"
    assert small_server.info()["limits"] == limits

    # Those that start later find the old settings as well.
    for name in ("TextToSpeech", "Ingress"):
        small_server.replica(name).kill()
        wait_for(lambda name=name: not before[name] & small_server.replica_ids(name), 30, f"a new {name}")
    wait_for(lambda: _ready(small_server), 60, "all stages to be ready")
    assert small_server.info()["refused_settings"] == dict(told)
    assert small_server.info()["limits"] == limits
    assert ask(small_server.url, question).last.name == "complete"

    # `parle deploy` sends none of it.
    refused = run("parle", "deploy", tmp_path / "wrong.yaml", "-a", address)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 3), "the voice only where the rest is right"
    right = tmp_path / "right.yaml"
    right.write_text(yaml.safe_dump(stack, allow_unicode=True), "utf-8")
    ended = run("parle", "deploy", right, "-a", address)
    assert ended.returncode == 0, ended
    assert small_server.info()["refused_settings"] == {}
    assert run("parle", "status", "-a", address).returncode == 0


def _ready(server: Server) -> bool:
    try:
        return server.get("/readyz").status_code == 200
    except httpx.HTTPError:
        return False


def log(server: Server) -> str:
    return server.log.read_text("utf-8")


def test_a_model_is_swapped_and_whoever_speaks_then_is_answered_or_told(
    small_server: Server, stack: Stack, question: bytes, tmp_path: Path
) -> None:
    """And the level stage and the WebSocket go, which this stack can do without; who is connected is told."""
    before = replicas(small_server)
    edited = deepcopy(stack)
    application = edited["applications"][0]
    application["args"]["llm"] = {"engine": "llama-cpp", "model": QWEN, "context_tokens": 2048}
    application["args"]["routes"] = ["sse"]
    del application["args"]["cefr"]
    application["deployments"] = [one for one in application["deployments"] if one["name"] != "CefrClassifier"]

    with talking(small_server.url) as talk:
        turn = while_speaking(small_server, question, lambda: deploy(small_server, edited, tmp_path / "swapped.yaml"))
        assert talk.next().data["restart"] is True
        with pytest.raises(ConnectionClosed) as moved:
            talk.next()
    assert moved.value.rcvd is not None
    assert (moved.value.rcvd.code, moved.value.rcvd.reason) == (1012, "restarting")

    answered_or_told(turn, "stage_lost", "stage_unavailable", "cancelled", "stopping")

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
