"""`parle serve --stop-after` whole: a real server, real connections, and a provider's API on a local port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import servers
from support.clients import Talk, talking
from support.providers import TOKEN, PublishedApi, TensorDockApi, open_to_all
from support.speech import Speaker
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


def stopping(talk: Talk) -> int | None:
    return talk.until("stopping").last.data["in_s"]


def test_a_silent_server_stops_its_machine_and_ends(
    cloud: PublishedApi, small_stack: Path, speech: Speaker, tmp_path: Path
) -> None:
    recording = speech.recording(SAID)  # before the clock runs
    log = tmp_path / "terminal.log"
    with servers.serving(small_stack, log, "--stop-after", TWELVE_SECONDS) as server:
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
