"""A client that goes ends what a real server does for it: what the engines still did afterwards is counted.

`Server.work` counts at the engines themselves: segments transcribed, steps of the language model (a token or a
batch of the prompt), pieces of speech. None of them may go on for a turn that nobody listens to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from support.clients import Answer, Talk, ask, asking, talking
from support.servers import Server
from support.speech import Speaker

from serve_app.audio import wav
from serve_app.protocols import STT_SAMPLE_RATE

pytestmark = pytest.mark.server

SAID = "Você acha que as redes sociais deixam as pessoas mais tristes e mais sozinhas?"
LEVEL = "C1"

TOKENS_AFTER = 8
"""The model writes 10 to 15 tokens a second here: 3 in 200 ms, and some that were under way when they were counted."""

PLANNED = 2
"""Deltas of the answer to SAID that no model writes: the opening and "Eu acho que"."""

Leave = Callable[[Server, bytes, str], dict[str, int]]
"""Begin a turn, go away at its first event of that name (of deltas, the model's first); what had been done before."""


def after(at: str) -> Iterator[bool]:
    """Whether it is time to leave, event by event of that name."""
    yield from [False] * (PLANNED if at == "delta" else 0)
    while True:
        yield True


def leave_sse(server: Server, recording: bytes, at: str) -> dict[str, int]:
    with asking(server.url, recording, order="eager", level=LEVEL) as events:
        leaves = after(at)
        for event in events:
            if event.name == at and next(leaves):
                return server.work()
    raise AssertionError(f"no {at} came")


def leave_websocket(server: Server, recording: bytes, at: str) -> dict[str, int]:
    with talking(server.url) as talk:
        done = work_at(at, talk, server, recording)
        talk.vanish()
    return done


def cancel_websocket(server: Server, recording: bytes, at: str) -> dict[str, int]:
    with talking(server.url) as talk:
        done = work_at(at, talk, server, recording)
        talk.tell({"type": "cancel"})
        talk.until("cancelled")
    return done


def work_at(at: str, talk: Talk, server: Server, recording: bytes) -> dict[str, int]:
    """Begin a turn, and tell what the stages have done when it has come that far."""
    talk.tell({"type": "settings", "level": LEVEL})
    talk.say(recording)
    leaves = after(at)
    talk.until(at)
    while not next(leaves):
        talk.until(at)
    return server.work()


WAYS = [
    pytest.param(leave_sse, id="sse-closed"),
    pytest.param(leave_websocket, id="websocket-lost"),
    pytest.param(cancel_websocket, id="websocket-cancel"),
]


@pytest.fixture(scope="module")
def recording(speech: Speaker) -> bytes:
    return speech.recording(SAID)


@pytest.fixture(scope="module")
def long_recording(speech: Speaker) -> bytes:
    """Takes so long to transcribe that another one can come and go meanwhile."""
    return wav(np.tile(speech(SAID), 5), STT_SAMPLE_RATE)


@pytest.fixture(scope="module")
def undisturbed(server: Server, recording: bytes) -> tuple[Answer, dict[str, int]]:
    """The same turn to its end, and what it cost."""
    before = at_rest(server)
    answer = ask(server.url, recording, order="eager", level=LEVEL)
    after = at_rest(server)
    return answer, {stage: after[stage] - before[stage] for stage in after}


def at_rest(server: Server) -> dict[str, int]:
    """What has been done once nothing is done any more."""
    server.wait_until_idle()
    before, now = {}, server.work()
    deadline = time.monotonic() + 30
    while now != before:
        assert time.monotonic() < deadline, "the engines do not come to rest"
        time.sleep(1)
        before, now = now, server.work()
    return now


def test_the_undisturbed_turn_is_long_enough_to_be_cut(undisturbed: tuple[Answer, dict[str, int]]) -> None:
    answer, cost = undisturbed
    assert len(answer.all("delta")) > 2 * TOKENS_AFTER
    assert cost["llm"] > 2 * TOKENS_AFTER
    assert cost["stt"] >= 1
    assert cost["tts"] >= 1


@pytest.mark.parametrize("leave", WAYS)
def test_the_model_stops_writing_for_a_client_that_has_gone(server: Server, recording: bytes, leave: Leave) -> None:
    at_rest(server)
    done = leave(server, recording, "delta")
    rest = at_rest(server)
    assert rest["llm"] - done["llm"] <= TOKENS_AFTER
    assert rest["tts"] - done["tts"] <= 1


@pytest.mark.parametrize("leave", WAYS[:2])
def test_nothing_more_is_spoken_than_the_piece_in_progress(server: Server, recording: bytes, leave: Leave) -> None:
    at_rest(server)
    done = leave(server, recording, "audio")
    rest = at_rest(server)
    assert rest["tts"] - done["tts"] <= 1
    assert rest["llm"] - done["llm"] <= TOKENS_AFTER
    assert rest["stt"] == done["stt"]


@pytest.mark.parametrize("leave", WAYS[:2])
def test_a_recording_of_a_client_that_has_gone_is_not_transcribed_after_the_one_in_progress(
    server: Server, recording: bytes, long_recording: bytes, leave: Leave
) -> None:
    def transcribed(*leavers: Leave) -> int:
        """What is transcribed for the long recording, and for those that leave while they wait behind it."""
        before = at_rest(server)
        with asking(server.url, long_recording, order="eager") as events:
            assert next(events).data == {"stage": "stt"}
            for leave in leavers:
                leave(server, recording, "status")
            while next(events).name != "transcript":
                pass
        return at_rest(server)["stt"] - before["stt"]

    alone = transcribed()
    assert alone >= 1
    assert transcribed(leave) == alone


def test_leaving_before_the_first_word_writes_none(server: Server, recording: bytes) -> None:
    before = at_rest(server)
    leave_websocket(server, recording, "status")
    rest = at_rest(server)
    assert rest["llm"] - before["llm"] <= 1
    assert rest["tts"] == before["tts"]
