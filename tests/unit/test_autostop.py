"""The watchdog: when it stops a machine, and above all when it does not.

It reads /api/info of a local HTTP server; time is the test's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.providers import DROP, HANG, TOKEN, Answer, PublishedApi, Request, TensorDockApi, VastApi, open_to_all

from serve_app.clouds import machines, served
from serve_app.clouds.api import Retries
from serve_app.clouds.autostop import Activity, Times, Unknown, Watchdog
from serve_app.clouds.served import RentedMachine, activity_of, prepare
from serve_app.errors import CloudError, StackError

UUID = "550e8400-e29b-41d4-a716-000000000000"
N = 1800.0


class Clock(threading.Event):
    """Waiting takes no time and moves the clock; what is due happens on the way. `end` is when the watch is over."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self.now = 0.0
        self.end = end
        self.due: list[tuple[float, Callable[[], None]]] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        until = self.now + timeout
        for entry in sorted((entry for entry in self.due if entry[0] <= until), key=lambda entry: entry[0]):
            self.due.remove(entry)
            self.now = entry[0]
            entry[1]()
        self.now = until
        return self.is_set() or self.now >= self.end


@dataclass
class InfoApi(PublishedApi):
    """A server's /api/info."""

    prefix: str = ""
    clock: Clock = field(default_factory=lambda: Clock(1e9))
    last_sign: float = 0.0
    turns: int = 0
    sessions: int = 0

    def answer(self, request: Request) -> Answer:
        idle_s = self.clock.now - self.last_sign  # whatever it is: a turn in flight is busy
        activity = {"turns": self.turns, "sessions": self.sessions, "idle_s": idle_s, "stopping_in_s": None}
        return Answer(200, {"name": "parle", "turns": self.turns, "activity": activity})

    def unauthorized(self) -> Answer:
        return self.answer(self.requests[-1])  # this page needs no token


class WatchedServer:
    """A server read over HTTP, as the watchdog reads it; its orders are noted with their times."""

    def __init__(self, api: InfoApi) -> None:
        self.api = api
        self.orders: list[tuple[float, str]] = []
        self.refuses_to_close = False
        self.deaf = False

    def _order(self, what: str) -> None:
        if self.deaf:
            raise Unknown("RayActorError")
        self.orders.append((self.api.clock.now, what))

    def activity(self) -> Activity:
        return activity_of(self.api.url)

    def warn(self, in_s: float) -> None:
        self._order(f"warn {in_s:g}")

    def close(self) -> bool:
        self._order("close")
        return not self.refuses_to_close

    def reopen(self) -> None:
        self._order("reopen")


class Night:
    """A server, a rented machine that it runs on, and the watchdog between them."""

    def __init__(self, info: InfoApi, cloud: PublishedApi, end: float = 4 * N) -> None:
        self.clock = info.clock = Clock(end)
        self.info = info
        self.cloud = cloud
        self.server = WatchedServer(info)
        self.said: list[str] = []
        self.ended: list[float] = []
        environment = {"TENSORDOCK_API_TOKEN": TOKEN, machines.URL: cloud.url}
        rented = machines.connect("tensordock", environment, retries=Retries(timeout_s=0.3), sleep=self.clock.wait)
        self.dog = Watchdog(
            self.server,
            RentedMachine(rented, UUID),
            Times(N),
            self.said.append,
            stopped=lambda: self.ended.append(self.clock.now),
            over=self.clock,
            clock=lambda: self.clock.now,
        )

    def at(self, when: float, **changes: Any) -> None:
        """At that time the server's state becomes this."""

        def happen() -> None:
            for name, value in changes.items():
                setattr(self.info, name, value)

        self.clock.due.append((when, happen))

    def sign_of_life(self, when: float) -> None:
        self.at(when, last_sign=when)

    def pass_by(self) -> Night:
        self.dog.run()
        return self

    @property
    def stops(self) -> int:
        return self.cloud.said().count(f"POST /instances/{UUID}/stop")

    @property
    def orders(self) -> list[str]:
        return [what for _, what in self.server.orders]


@pytest.fixture
def night() -> Iterator[Night]:
    instance = {"status": "running", "ipAddress": "203.0.113.7"}
    with open_to_all(InfoApi()) as info, open_to_all(TensorDockApi(instances={UUID: instance})) as cloud:
        assert isinstance(info, InfoApi)
        yield Night(info, cloud)


def test_after_n_idle_minutes_clients_are_told_then_the_door_is_shut_then_the_machine_stops(night: Night) -> None:
    night.pass_by()
    assert night.orders == ["warn 60", "close"]
    warned, closed = (at for at, _ in night.server.orders)
    assert N <= warned <= N + 1
    assert closed == warned + 60
    assert night.stops == 1
    assert night.cloud.instances[UUID]["status"] == "stopped"
    assert closed <= night.ended[0] <= closed + 30
    assert night.said[0] == "auto-stop: no client activity for 30 min, 0 connected; stopping in 60 s"


def test_the_minutes_count_from_when_the_server_is_ready(night: Night) -> None:
    night.info.last_sign = -10 * N  # its ingress was up long before its models
    night.pass_by()
    assert N <= night.server.orders[0][0] <= N + 1


def test_a_sign_of_life_starts_the_minutes_anew(night: Night) -> None:
    night.sign_of_life(N - 10)
    night.pass_by()
    assert night.server.orders[0][0] >= 2 * N - 10
    assert night.stops == 1


def test_a_turn_that_runs_on_and_on_is_never_stopped(night: Night) -> None:
    night.info.turns = 1
    night.pass_by()
    assert (night.orders, night.stops, night.ended) == ([], 0, [])


@pytest.mark.parametrize("late", [1, 30, 59])
def test_a_sign_of_life_within_the_warning_calls_the_stop_off(night: Night, late: float) -> None:
    night.clock.end = 2 * N
    night.sign_of_life(N + late)
    night.pass_by()
    assert night.orders == ["warn 60", "reopen"]
    assert night.stops == 0
    assert night.said[-1] == "auto-stop: cancelled, a client is active"


def test_a_turn_begun_within_the_warning_calls_the_stop_off(night: Night) -> None:
    night.at(N + 20, turns=1)
    night.pass_by()
    assert (night.orders, night.stops) == (["warn 60", "reopen"], 0)


def test_the_server_has_the_last_word(night: Night) -> None:
    """Somebody came between the last look and the closing: only the server can know."""
    night.clock.end = N + 80
    night.server.refuses_to_close = True
    night.pass_by()
    assert night.orders == ["warn 60", "close", "reopen"]
    assert night.stops == 0
    assert night.said[-1] == "auto-stop: cancelled, a client is active"


@pytest.mark.parametrize(
    "trouble",
    [Answer(503, {}), Answer(200, b"<html>"), Answer(200, {"name": "parle"}), Answer(200, {"activity": {}}), DROP],
    ids=["503", "no JSON", "no activity", "empty activity", "broken off"],
)
def test_a_server_that_cannot_be_seen_is_not_stopped(night: Night, trouble: Answer | str) -> None:
    night.info.trouble = [trouble] * 1000
    night.pass_by()
    assert (night.orders, night.stops) == ([], 0)
    assert [line for line in night.said if "the server does not answer" in line] == night.said
    assert len(night.said) == 1  # once, not every half minute


def test_a_server_that_is_seen_again_is_watched_again(night: Night) -> None:
    night.info.trouble = [Answer(503, {})] * 20
    night.pass_by()
    assert night.said[1] == "auto-stop: watching again"
    assert night.stops == 1


def test_a_server_that_vanishes_within_the_warning_is_not_stopped(night: Night) -> None:
    night.clock.end = N + 200
    night.at(N + 30, trouble=[Answer(503, {})] * 1000)
    night.pass_by()
    assert (night.orders, night.stops) == (["warn 60", "reopen"], 0)


@pytest.mark.parametrize("end", [OSError(5, "Input/output error"), SystemExit(1)], ids=["hung up", "broken pipe"])
def test_a_terminal_that_is_gone_does_not_end_the_watch(night: Night, end: BaseException) -> None:
    def gone(_: str) -> None:
        raise end

    night.dog._tell = gone
    night.pass_by()
    assert night.stops == 1
    assert night.cloud.instances[UUID]["status"] == "stopped"


def test_a_fault_of_ours_is_told_and_does_not_end_the_watch(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = [LookupError("secret")] * 3
    seen = night.server.activity

    def activity() -> Activity:
        if faults:
            raise faults.pop()
        return seen()

    monkeypatch.setattr(night.server, "activity", activity)
    night.pass_by()
    assert night.said[:3] == ["auto-stop: error (LookupError), still watching"] * 3
    assert night.stops == 1


def test_a_server_that_stops_meanwhile_is_not_killed_nor_opened_again(night: Night) -> None:
    stop = night.dog._machine.stop

    def stop_and_end() -> None:
        stop()
        night.dog._over.set()  # Ctrl-C, or the machine's own shutdown reaching the server first

    night.dog._machine.stop = stop_and_end  # type: ignore[method-assign]
    night.pass_by()
    assert (night.orders, night.stops, night.ended) == (["warn 60", "close"], 1, [])


def test_a_server_that_cannot_be_told_is_not_stopped(night: Night) -> None:
    night.server.deaf = True
    night.pass_by()
    assert (night.orders, night.stops) == ([], 0)


def test_a_provider_in_trouble_is_asked_again_at_once_with_growing_pauses(night: Night) -> None:
    night.cloud.trouble = [Answer(500, {}), HANG, Answer(429, b"too many", {"Retry-After": "20"})]
    night.pass_by()
    assert night.stops == 4
    assert night.orders == ["warn 60", "close"]
    assert night.cloud.instances[UUID]["status"] == "stopped"


def test_a_provider_that_refuses_leaves_a_server_that_serves_and_is_asked_again_later(night: Night) -> None:
    night.cloud.trouble = [Answer(403, {"error": f"token {TOKEN} is read-only"})]
    night.pass_by()
    assert night.orders == ["warn 60", "close", "reopen", "warn 60", "close"]
    reopened, warned = night.server.orders[2][0], night.server.orders[3][0]
    assert warned == reopened + 300
    assert night.said[1] == (
        f"auto-stop: TensorDock refuses POST /instances/{UUID}/stop (HTTP 403: token *** is read-only); "
        "is TENSORDOCK_API_TOKEN right? Serving on; next try in 5 min."
    )
    assert night.stops == 2
    assert len(night.ended) == 1


def test_who_comes_between_two_tries_keeps_the_server(night: Night) -> None:
    night.cloud.trouble = [Answer(403, {})]
    night.clock.end = 2 * N
    night.sign_of_life(N + 200)
    night.pass_by()
    assert night.stops == 1
    assert night.orders == ["warn 60", "close", "reopen"]


def test_a_machine_that_runs_on_after_a_yes_is_served_on_and_stopped_again(night: Night) -> None:
    night.cloud.trouble = [Answer(200, {"data": {"attributes": {"status": "stopping"}}})]  # and nothing happens
    night.pass_by()
    assert night.orders[:3] == ["warn 60", "close", "reopen"]
    assert night.server.orders[2][0] - night.server.orders[1][0] >= 180
    assert any("the machine still runs" in line for line in night.said)
    assert (night.stops, len(night.ended)) == (2, 1)


def test_a_machine_of_which_nothing_is_seen_after_a_yes_counts_as_stopping(night: Night) -> None:
    night.cloud.trouble = [Answer(200, {}), *[Answer(403, {})] * 100]
    night.pass_by()
    assert (night.stops, len(night.ended)) == (1, 1)
    assert "reopen" not in night.orders


def test_a_door_that_could_not_be_opened_is_opened_before_anything_else(night: Night) -> None:
    night.cloud.trouble = [Answer(403, {})]
    reopen, tries = night.server.reopen, []

    def stuck_once() -> None:
        tries.append(night.clock.now)
        if len(tries) == 1:
            raise Unknown("TimeoutError")
        reopen()

    night.server.reopen = stuck_once  # type: ignore[method-assign]
    night.pass_by()
    assert len(tries) == 2
    assert night.orders == ["warn 60", "close", "reopen", "warn 60", "close"]


def test_the_end_of_the_server_ends_the_watch(night: Night) -> None:
    night.clock.end = N + 30  # within the warning
    night.pass_by()
    assert (night.orders, night.stops) == (["warn 60"], 0)


def test_no_line_holds_the_token(night: Night) -> None:
    night.cloud.trouble = [Answer(401, {"error": TOKEN}), Answer(500, {"error": TOKEN})]
    night.pass_by()
    assert night.said
    assert all(TOKEN not in line for line in night.said)


# --- what is checked before the server starts ---------------------------------------------------------------


@contextmanager
def account(api: PublishedApi, **environment: str) -> Iterator[dict[str, str]]:
    with open_to_all(api):
        yield {machines.URL: api.url, **environment}


RUNNING = {"status": "running"}
TENSORDOCK = {"TENSORDOCK_API_TOKEN": TOKEN, "TENSORDOCK_INSTANCE_ID": UUID}
VAST = {"CONTAINER_API_KEY": TOKEN, "CONTAINER_ID": "7"}


@pytest.mark.parametrize(
    ("api", "environment", "what"),
    [
        (TensorDockApi(instances={UUID: RUNNING}), TENSORDOCK, f"TensorDock instance {UUID}"),
        (VastApi(instances={"7": {"actual_status": "running"}}), VAST, "Vast.ai instance 7"),
    ],
    ids=["tensordock", "vast"],
)
def test_the_machine_is_known_by_its_environment(api: PublishedApi, environment: dict[str, str], what: str) -> None:
    with account(api, **environment) as env:
        assert str(prepare(30, None, None, env)) == f"30 min without client activity stop {what}"
    assert [request.method for request in api.requests] == ["GET"]


def test_a_dry_run_needs_no_account_and_asks_nobody() -> None:
    assert str(prepare(30, "dry-run", None, {})) == "30 min without client activity stop nothing: a dry run"


def test_a_wrong_token_shows_before_the_night() -> None:
    wrong = TENSORDOCK | {"TENSORDOCK_API_TOKEN": "wrong"}
    with account(TensorDockApi(), **wrong) as env, pytest.raises(CloudError, match="is TENSORDOCK_API_TOKEN right"):
        prepare(30, None, None, env)


def test_an_instance_that_is_not_there_shows_before_the_night() -> None:
    with account(TensorDockApi(), **TENSORDOCK) as env, pytest.raises(CloudError, match="HTTP 404"):
        prepare(30, None, None, env)


def test_a_stale_vast_instance_shows_before_the_night_too() -> None:
    with account(VastApi(), **VAST) as env, pytest.raises(CloudError, match="has no instance"):
        prepare(30, None, None, env)


def test_a_key_that_may_stop_but_not_look_is_enough() -> None:
    api = VastApi(trouble=[Answer(403, {"success": False, "error": "forbidden"})])
    with account(api, **VAST) as env:
        prepare(30, None, None, env)


@pytest.mark.parametrize(
    ("minutes", "cloud", "address", "environment", "why"),
    [
        (0.0, "dry-run", None, {}, "takes minutes, 0.1 or more"),
        (float("nan"), "dry-run", None, {}, "takes minutes"),
        (30, "dry-run", "10.0.0.1:6379", {}, "the server runs elsewhere"),
        (30, None, None, {}, "which provider's machine is this"),
        (30, None, None, TENSORDOCK | VAST, "which provider's machine is this"),
        (30, "vast", None, TENSORDOCK, "VAST_API_KEY is not set"),
        (30, "vast", None, {"VAST_API_KEY": TOKEN}, "which instance"),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    minutes: float, cloud: str | None, address: str | None, environment: dict[str, str], why: str
) -> None:
    with pytest.raises((StackError, CloudError), match=why):
        prepare(minutes, cloud, address, environment)


def test_a_stack_with_several_ingresses_cannot_say_whether_anybody_is_there() -> None:
    with pytest.raises(StackError, match="needs one Ingress"):
        prepare(30, "dry-run", None, {}, several=True)


def test_a_short_time_has_a_shorter_warning() -> None:
    assert prepare(0.5, "dry-run", None, {})._times == Times(30, warning_s=15)
    assert prepare(60, "dry-run", None, {})._times == Times(3600, warning_s=60)
    assert served.DRY_RUN == "dry-run"
