"""`parle serve --stop-after` whole: a real server, real connections, and a provider's API on a local port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support import servers
from support.clients import Talk, ask, talking
from support.providers import TOKEN, Answer, PublishedApi, TensorDockApi, open_to_all
from support.speech import Speaker
from support.waiting import wait_for
from websockets.exceptions import ConnectionClosed

from serve_app.clouds.machines import URL

pytestmark = pytest.mark.server

UUID = "550e8400-e29b-41d4-a716-000000000000"
SAID = "Eu gosto de café."
TWELVE_SECONDS = "0.2"
END_S = 60


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[PublishedApi]:
    """The provider whose instance this machine is, says the environment."""
    with open_to_all(TensorDockApi(instances={UUID: {"status": "running"}})) as api:
        monkeypatch.setenv("TENSORDOCK_API_TOKEN", TOKEN)
        monkeypatch.setenv("TENSORDOCK_INSTANCE_ID", UUID)
        monkeypatch.setenv(URL, api.url)
        yield api


@pytest.fixture
def both_ways(small_stack: Path, tmp_path: Path) -> Path:
    """The small stack with a WebSocket."""
    stack = yaml.safe_load(small_stack.read_text("utf-8"))
    stack["applications"][0]["args"]["routes"] = ["sse", "websocket"]
    file = tmp_path / "stack.yaml"
    file.write_text(yaml.safe_dump(stack, allow_unicode=True), "utf-8")
    return file


def stopping(talk: Talk) -> int | None:
    return talk.until("stopping").last.data["in_s"]


def test_a_silent_server_stops_its_machine_and_ends(
    cloud: PublishedApi, both_ways: Path, speech: Speaker, tmp_path: Path
) -> None:
    recording = speech.recording(SAID)  # before the clock runs
    log = tmp_path / "terminal.log"
    with servers.serving(both_ways, log, "--stop-after", TWELVE_SECONDS) as server:
        assert cloud.said() == [f"GET /instances/{UUID}"]  # the token was tried before anything started
        with talking(server.url) as talk:
            assert stopping(talk) == 6
            assert talk.ask(recording).last.name == "complete"
            assert stopping(talk) == 6
            assert cloud.said() == [f"GET /instances/{UUID}"]
            assert stopping(talk) == 0
            with pytest.raises(ConnectionClosed) as closing:
                talk.next()
        assert closing.value.rcvd is not None
        assert (closing.value.rcvd.code, closing.value.rcvd.reason) == (1001, "stopping")
        assert server.process.wait(END_S) == 0
    assert cloud.instances[UUID]["status"] == "stopped"
    assert cloud.said().count(f"POST /instances/{UUID}/stop") == 1
    text = log.read_text("utf-8")
    for line in (
        f"stop TensorDock instance {UUID}",
        "cancelled, a client is active",
        "the machine stops",
        "stopping (Ctrl-C again ends it at once)",
    ):
        assert line in text
    assert text.splitlines()[-1].endswith("stopped")
    assert TOKEN not in text


def test_a_provider_that_refuses_leaves_a_server_that_serves(
    cloud: PublishedApi, both_ways: Path, speech: Speaker, tmp_path: Path
) -> None:
    recording = speech.recording(SAID)  # before the clock runs
    log = tmp_path / "terminal.log"
    with servers.serving(both_ways, log, "--stop-after", TWELVE_SECONDS) as server:
        cloud.trouble = [Answer(403, {"error": "This token may only look."})]
        wait_for(lambda: "Serving on; next try in 5 min" in log.read_text("utf-8"), END_S, "the refusal")
        wait_for(lambda: server.info()["activity"]["stopping_in_s"] is None, 10, "the door to open")
        assert ask(server.url, recording).last.name == "complete"
        with talking(server.url) as talk:
            assert talk.ask(recording).last.name == "complete"
        assert server.process.is_running()
    assert "This token may only look." in log.read_text("utf-8")
