"""What Modal's container does, here, on the CPU stack: the child server, its warm-up turn, Modal's own proxy before it.

The server is started by `serve_app.launch.child_process`, as deploy/modal starts it (tests/support/servers.py).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from support.clients import ask
from support.modal_proxy import proxying
from support.servers import Server, free_port
from support.speech import Listener, Speaker, word_error_rate

from serve_app.audio import decode
from serve_app.errors import StackError
from serve_app.launch import child_process

GREETING = "Bom dia! Eu quero praticar português."


@pytest.fixture(scope="module")
def proxy(small_server: Server) -> Generator[str]:
    """The way of a request on Modal: its runtime forwards what comes in to the server's port."""
    with proxying(int(small_server.url.rpartition(":")[2]), free_port()) as url:
        yield url


@pytest.mark.server
def test_the_warm_up_turn_passes_every_stage(small_server: Server) -> None:
    before = small_server.work()
    assert child_process.warm_up(small_server.url) > 0
    after = small_server.work()
    assert all(after[stage] > before[stage] for stage in after), (before, after)


@pytest.mark.server
def test_events_come_through_modals_proxy_one_by_one(proxy: str, speech: Speaker) -> None:
    answer = ask(proxy, speech.recording("Eu moro em Recife com a minha família."), order="eager")
    assert answer.names[:2] == ["status stt", "transcript"]
    assert "audio" in answer.names
    assert answer.last.name == "complete"
    first, last = answer.events[0].at, answer.last.at
    heard = answer.all("transcript")[0].at
    assert heard - first > 0.2, "the first event waited for the second"
    assert last - heard > 0.5, "the transcript waited for the end"


def test_the_greeting_of_the_warm_up_is_understood(listen: Listener) -> None:
    samples: Any = decode(child_process.GREETING.read_bytes(), max_seconds=10)
    assert word_error_rate(GREETING, listen(samples, 16_000).text) <= 0.2


def test_a_server_that_ends_before_it_is_ready_is_not_waited_for() -> None:
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(StackError, match="exit code 3 before it was ready"):
        child_process.await_ready(process, "http://127.0.0.1:9", 30)


def test_a_server_that_is_never_ready_is_given_up() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with pytest.raises(StackError, match="was not ready within 1 s"):
            child_process.await_ready(process, "http://127.0.0.1:9", 1)
    finally:
        child_process.stop(process)
    assert process.poll() is not None


def test_the_command_is_parle_serve_of_this_environment() -> None:
    program, *rest = child_process.command(Path("configs/modal_stack.yaml"), "--verbose")
    assert Path(program) == Path(sys.executable).with_name("parle")
    assert rest == ["serve", "configs/modal_stack.yaml", "--verbose"]
