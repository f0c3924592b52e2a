"""A stage's process is killed in the middle of a turn: one error for the client, and the next turn works."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import numpy as np
import psutil
import pytest
from support.clients import Answer, Event, Talk, answered_or_told, ask, asking, talking
from support.servers import Server
from support.speech import Speaker
from support.waiting import wait_for

from serve_app.audio import wav
from serve_app.protocols import STT_SAMPLE_RATE

pytestmark = [pytest.mark.server, pytest.mark.harms_server(1)]

LOST = ("stage_lost", "stage_unavailable")
LONG = "Eu acho que as redes sociais deixam as pessoas mais tristes e mais sozinhas."


@pytest.fixture(scope="module")
def question(speech: Speaker) -> bytes:
    return speech.recording("Minha namorada fala português muito bem.")


@pytest.fixture(scope="module")
def long_question(speech: Speaker) -> bytes:
    """The small model answers it at some length."""
    return speech.recording(LONG)


def kill(server: Server, deployment: str) -> int:
    process = server.replica(deployment)
    process.kill()
    return process.pid


def wait_until_replaced(server: Server, deployment: str, killed: int) -> None:
    def replaced() -> bool:
        return server.replica_ids(deployment) - {killed} != set()

    wait_for(replaced, 60, f"a new replica of {deployment}")
    server.wait_until_ready()


def one_error(turn: Answer, stage: str) -> None:
    assert turn.last.name == "error"
    assert turn.last.data["code"] in LOST
    assert turn.last.data["stage"] == stage
    assert set(turn.last.data) == {"code", "message", "stage"}
    assert "again" in turn.last.data["message"], "it must say what to do"
    assert [name for name in turn.names if name in ("error", "complete")] == ["error"]


def up_to(events: Iterator[Event], name: str) -> list[Event]:
    seen = [next(events)]
    while seen[-1].name != name:
        seen.append(next(events))
    return seen


def cut_off_in_mid_reply(server: Server, question: bytes) -> tuple[Answer, int]:
    """A turn whose language model is killed after its first words; the process that was killed."""
    for _ in range(3):
        process = server.replica("TutorLLM")
        with asking(server.url, question, session_id="aula", order="eager") as events:
            seen = up_to(events, "delta")
            process.kill()
            turn = Answer([*seen, *events])
        if turn.last.name == "error":
            return turn, process.pid
        wait_until_replaced(server, "TutorLLM", process.pid)  # the fast model was faster: once more
    raise AssertionError("each reply was finished before the model was killed")


def test_over_sse_a_lost_language_model_is_one_error_and_the_next_turn_works(
    small_server: Server, question: bytes, long_question: bytes
) -> None:
    turn, killed = cut_off_in_mid_reply(small_server, long_question)
    one_error(turn, "llm")
    wait_until_replaced(small_server, "TutorLLM", killed)
    assert ask(small_server.url, question, session_id="aula").last.name == "complete"


@pytest.mark.parametrize(("deployment", "stage"), [("SpeechToText", "stt"), ("TextToSpeech", "tts")])
def test_over_the_websocket_a_lost_stage_is_one_error_and_the_next_turn_works(
    small_server: Server, speech: Speaker, question: bytes, deployment: str, stage: str
) -> None:
    long_recording = wav(np.tile(speech(LONG), 3), STT_SAMPLE_RATE)

    def cut_off(talk: Talk) -> Answer:
        """A turn that loses the stage while it works."""
        for _ in range(3):
            small_server.wait_until_ready()
            process = small_server.replica(deployment)
            talk.say(long_recording)
            seen = [talk.next()]
            while seen[-1].data != {"stage": stage}:
                seen.append(talk.next())
            time.sleep(0.2)  # killed before its work has begun, it would be waited for and not be missed
            process.kill()
            turn = Answer([*seen, *talk.until("error", "complete").events])
            wait_until_replaced(small_server, deployment, process.pid)
            if turn.last.name == "error":
                return turn
        raise AssertionError("each time the stage was done before it was killed")

    with talking(small_server.url) as talk:
        one_error(cut_off(talk), stage)
        assert talk.nothing_comes(0.1)
        assert talk.ask(question).last.name == "complete"


def test_a_conversation_outlives_the_process_that_held_it(
    small_server: Server, question: bytes, long_question: bytes
) -> None:
    """kill -9 in mid-answer: what was said and spoken is there, and the next turn goes on from it."""
    session = "sobrevive"
    assert ask(small_server.url, question, session_id=session).last.name == "complete"
    process = small_server.replica("Ingress")
    with asking(small_server.url, long_question, session_id=session, order="eager") as events:
        cut_off = Answer(up_to(events, "audio"))
        small_server.get(f"/api/sessions/{session}")  # waits for the write, as nobody else does
        process.kill()
        with pytest.raises(httpx.RemoteProtocolError):  # the connection breaks off: nobody is left to send an event
            list(events)
    wait_until_replaced(small_server, "Ingress", process.pid)

    kept = small_server.get(f"/api/sessions/{session}").json()["turns"]
    assert [turn["state"] for turn in kept] == ["complete", "running"]
    assert kept[1]["transcript"] == cut_off.one("transcript")["transcript"]
    assert kept[1]["reply"].startswith(cut_off.one("audio")["text"])
    assert small_server.info()["store"] == {"kind": "sqlite", "reachable": True, "unwritten": 0}
    turn = ask(small_server.url, question, session_id=session)
    assert turn.last.name == "complete"
    assert turn.one("level")["utterances"] == 3


def test_while_a_stage_is_away_the_server_says_so_and_lives(small_server: Server, question: bytes) -> None:
    small_server.wait_until_ready()
    killed = kill(small_server, "SpeechToText")
    assert small_server.get("/healthz").status_code == 200

    def noticed() -> bool:
        nonlocal killed
        for back in small_server.replica_ids("SpeechToText") - {killed}:  # a quick machine has it back within a second
            killed = back
            with suppress(psutil.NoSuchProcess):
                psutil.Process(back).kill()
        answer = small_server.get("/readyz")
        assert answer.status_code == (200 if answer.json()["ready"] else 503)
        return answer.json()["stages"]["stt"] is False

    wait_for(noticed, 30, "readyz to notice")
    turn = ask(small_server.url, question)  # waits for the new replica, or says that there is none
    answered_or_told(turn, *LOST)
    wait_until_replaced(small_server, "SpeechToText", killed)
    assert ask(small_server.url, question).last.name == "complete"
