"""What one client may use, of each key and of each address, while others are served."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.clients import Talk, error_of, refusal
from support.containers import speech_like
from support.site_without_ray import Site, site_of
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from serve_app.access import keys
from serve_app.access.keys import Key
from serve_app.audio import wav
from serve_app.config.limits import Limits
from serve_app.errors import TooMany
from serve_app.routes.gate import Client
from serve_app.routes.shares import Shares, names

RECORDING = wav(speech_like(1.0), 16_000)
HERE = "127.0.0.1"


def client(name: str, address: str = HERE) -> Client:
    return Client(Key(name, name) if name else None, address)


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        *((address, None) for address in (HERE, "127.8.8.8", "::1", "::ffff:127.0.0.1", "", "unix:", "[")),
        *(("10.0.0.7", "10.0.0.7"), ("::ffff:10.0.0.7", "10.0.0.7"), ("fe80::1%eth0", "fe80::/64")),
        *((address, "2001:db8:0:1::/64") for address in ("2001:db8:0:1::5", "2001:db8:0:1:ffff::")),
    ],
)
def test_a_client_is_counted_by_its_address_unless_that_is_everybodys(address: str, counted: str | None) -> None:
    assert names(client("", address)) == ([counted] if counted else [])
    assert names(client("ana", address)) == ["key ana", *([counted] if counted else [])]


def test_turns_and_connections_at_once_are_counted_apart_and_given_back() -> None:
    parts = Shares(lambda: Limits(client_turns=2, client_sessions=1))
    with ExitStack() as open_ones:
        for _ in range(2):
            open_ones.enter_context(parts.turn(client("ana", "10.0.0.7")))
        open_ones.enter_context(parts.session(client("ana", "10.0.0.7")))
        for over in (client("ana", "10.0.0.8"), client("rui", "10.0.0.7"), client("ana")):
            with pytest.raises(TooMany), parts.turn(over):
                pass
            with pytest.raises(TooMany), parts.session(over):
                pass
        with parts.turn(client("rui", "10.0.0.8")), parts.session(client("rui", "10.0.0.8")):
            pass
    with parts.turn(client("ana", "10.0.0.7")), parts.session(client("ana", "10.0.0.7")):
        pass


def test_a_rate_has_a_minutes_worth_at_once_and_then_what_time_brings() -> None:
    now = 0.0
    parts = Shares(lambda: Limits(client_turns_per_minute=30), clock=lambda: now)

    def asked(who: Client, times: int) -> int:
        """How many of them got through."""
        through = 0
        for _ in range(times):
            with suppress(TooMany), parts.turn(who):
                through += 1
        return through

    assert asked(client("ana"), 40) == 30
    with pytest.raises(TooMany) as refused, parts.turn(client("ana")):
        pass
    assert (refused.value.status, refused.value.retry_after_s) == (429, 2)
    assert asked(client("rui"), 1) == 1
    now = 4.0
    assert asked(client("ana"), 40) == 2
    now = 10_000.0
    assert asked(client("ana"), 40) == 30


def test_what_is_remembered_of_clients_is_bounded() -> None:
    parts = Shares(lambda: Limits(client_turns_per_minute=1), clock=lambda: 0.0, known=3)
    for name in "abcd":
        with parts.turn(client(name)):
            pass
    with parts.turn(client("a")):
        pass  # forgotten
    with pytest.raises(TooMany), parts.turn(client("d")):
        pass


# --- the routes --------------------------------------------------------------------------------------------


def headers(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def post(site: Site, secret: str, recording: bytes = RECORDING, **more: Any) -> httpx.Response:
    files = {"audio": ("a", recording)}
    return httpx.post(f"{site.url}/api/stream-audio", files=files, headers=headers(secret), timeout=60, **more)


def join(site: Site, secret: str) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{site.port}/ws/stream", additional_headers=headers(secret), max_size=None)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, str, str]:
    (ana, hers), (rui, his) = keys.make("ana"), keys.make("rui")
    file = tmp_path / "keys.txt"
    file.write_text(f"{hers.line}\n{his.line}\n")
    return file, ana, rui


def test_a_client_over_its_share_is_refused_and_others_are_served(two: tuple[Path, str, str]) -> None:
    file, ana, rui = two
    with (
        site_of(keys_file=file, limits={"client_turns": 1, "client_sessions": 1}) as site,
        join(site, ana) as socket,
        join(site, rui) as other,
        site.house.slow_replies(),
    ):
        talk, his = Talk(socket), Talk(other)
        talk.say(RECORDING)
        assert talk.next().name == "status"
        refused = post(site, ana)
        assert refusal(refused) == (429, "too_many")
        assert int(refused.headers["retry-after"]) > 0
        his.say(RECORDING)
        assert his.next().name == "status"
        with join(site, ana) as second:
            assert error_of(Talk(second).until("error")) == ("too_many", "request")
            with pytest.raises(ConnectionClosed) as closed:
                Talk(second).next()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013
        site.house.llm.word_s = 0
        talk.say(RECORDING)  # instead of the first one
        assert talk.until("complete", "error").last.name == "complete"
        assert his.until("complete", "error").last.name == "complete"


def test_a_rate_holds_over_both_routes_together(two: tuple[Path, str, str]) -> None:
    file, ana, rui = two
    with site_of(keys_file=file, limits={"client_turns_per_minute": 2}) as site:
        assert refusal(post(site, ana, b"junk")) == (400, "bad_audio")  # counts too
        with join(site, ana) as socket:
            talk = Talk(socket)
            assert talk.ask(RECORDING).last.name == "complete"
            assert error_of(talk.ask(RECORDING)) == ("too_many", "request")
        assert refusal(post(site, ana)) == (429, "too_many")
        assert post(site, rui).status_code == 200
