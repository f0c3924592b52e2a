"""A server under a supervisor: Ray's own processes die, it comes back; it is stopped, and turns finish."""

from __future__ import annotations

import signal
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from support import servers
from support.clients import Talk, ask, talking
from support.servers import Server, family
from support.speech import Speaker
from support.waiting import wait_for
from websockets.exceptions import ConnectionClosed

pytestmark = pytest.mark.server

SAID = "Minha namorada fala português muito bem."
GCS_DIED = "parle: Ray's gcs_server has died, and the server with it; start it again."


def agents(server: Server) -> list[psutil.Process]:
    """Ray's dashboard agent, which has a title of its own."""
    return [process for process in family(server.process) if "DashboardAgent" in _title(process)]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def closed_with(talk: Talk) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closing:
        talk.until("no event has this name")
    assert closing.value.rcvd is not None
    return closing.value.rcvd.code, closing.value.rcvd.reason


@pytest.mark.harms_server(2)
def test_a_dashboard_agent_that_dies_is_replaced_and_the_server_stays(small_server: Server) -> None:
    [agent] = agents(small_server)
    agent.kill()
    wait_for(lambda: agents(small_server) not in ([], [agent]), 30, "another agent")
    assert small_server.get("/readyz").status_code == 200


@pytest.mark.harms_server(3)
def test_after_the_death_of_ray_the_next_start_serves_and_its_stop_lets_turns_finish(
    small_server: Server, small_stack: Path, speech: Speaker, tmp_path: Path
) -> None:
    """The last test of that server."""
    question = speech.recording(SAID)
    members = small_server.process.children(recursive=True)
    next(process for process in members if process.name() == "gcs_server").kill()
    code = small_server.process.wait(60)
    assert small_server.log.read_text("utf-8").splitlines()[-1] == GCS_DIED
    assert code == 1, "by which a supervisor knows that it has to start it again"
    _, left = psutil.wait_procs(members, 10)
    assert [member for member in left if member.status() != psutil.STATUS_ZOMBIE] == []

    log = tmp_path / "terminal.log"
    with servers.serving(small_stack, log, port=urlsplit(small_server.url).port) as again:
        assert ask(again.url, question).last.name == "complete"
        with talking(again.url) as talk, talking(again.url) as idle:
            talk.say(question)
            assert talk.next().data == {"stage": "stt"}
            again.process.send_signal(signal.SIGTERM)
            assert closed_with(idle) == (1012, "restarting")
            assert talk.until("complete", "error").last.name == "complete"
            assert closed_with(talk) == (1012, "restarting")
        assert again.process.wait(60) == 0
    text = log.read_text("utf-8")
    assert "stopping: 1 turn running, at most 20 s (Ctrl-C again ends it at once)" in text
    assert text.splitlines()[-1].endswith("stopped")
