"""Activity, and the announced stop: the real routes and real connections, over stages without models."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import numpy as np
import pytest
from support.clients import Event, Talk, ask, talking
from support.providers import TOKEN, Answer, PublishedApi, TensorDockApi, open_to_all
from support.site_without_ray import Site
from support.virtual_time import in_virtual_time
from support.waiting import wait_for
from websockets.exceptions import ConnectionClosed

from serve_app.audio import wav
from serve_app.clouds import machines
from serve_app.clouds.autostop import Activity, Times, Watchdog
from serve_app.clouds.served import RentedMachine, activity_of
from serve_app.routes.presence import Presence

RECORDING = wav(np.full(16_000, 0.1, np.float32), 16_000)
ROUNDED_S = 0.1
"""The server tells its idle time in tenths of a second."""
UUID = "550e8400-e29b-41d4-a716-000000000000"


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    try:
        yield site
    finally:
        site.end()


def told(talk: Talk) -> tuple[int | None, str]:
    event = talk.next()
    assert event.name == "stopping", event
    assert set(event.data) == {"in_s", "message"}
    return event.data["in_s"], event.data["message"]


def test_a_server_that_nobody_visits_counts_the_seconds(site: Site) -> None:
    begun = time.monotonic()
    first = site.activity()
    time.sleep(0.3)
    second = site.activity()  # looking is no sign of life
    assert (first["turns"], first["sessions"], first["stopping_in_s"]) == (0, 0, None)
    assert 0.2 <= second["idle_s"] - first["idle_s"] <= time.monotonic() - begun + ROUNDED_S


def test_a_turn_in_flight_is_no_idleness_over_either_way(site: Site) -> None:
    for way in (ask, say_once):
        thread = threading.Thread(target=way, args=(site.url, RECORDING))
        with site.house.slow_replies():
            thread.start()
            wait_for(lambda: site.activity()["turns"] == 1, 30, f"a turn over {way}")
            time.sleep(0.3)
            ends = time.monotonic()
            assert site.activity()["idle_s"] == 0
        thread.join()
        after = site.activity()
        assert after["turns"] == 0
        assert after["idle_s"] <= time.monotonic() - ends + ROUNDED_S, "since its end"


@contextmanager
def a_sign_of_life(site: Site) -> Iterator[None]:
    """What is done in the block is one: afterwards the server has been idle for no longer than since it began."""
    wait_for(lambda: site.activity()["idle_s"] >= 0.5, 30, "half a second of idleness")
    begun = time.monotonic()
    yield
    idle_s = site.activity()["idle_s"]
    assert idle_s <= time.monotonic() - begun + ROUNDED_S


def say_once(url: str, recording: bytes) -> None:
    with talking(url) as talk:
        talk.ask(recording)


@pytest.mark.parametrize("what", ["opens", "speaks", "asks for settings", "cancels", "leaves"])
def test_whatever_is_accepted_of_a_client_is_a_sign_of_life(site: Site, what: str) -> None:
    # An open connection alone is none: the idleness is waited for with one.
    with talking(site.url) as talk, ExitStack() as later:
        site.wait_for_sessions(1)
        with a_sign_of_life(site):
            match what:
                case "opens":
                    later.enter_context(talking(site.url))
                    site.wait_for_sessions(2)
                case "speaks":
                    talk.ask(RECORDING)
                case "asks for settings":
                    talk.tell({"type": "settings", "level": "A1"})
                    talk.next()
                case "cancels":
                    talk.tell({"type": "cancel"})
                    talk.next()
                case "leaves":
                    talk.vanish()
                    site.wait_for_sessions(0)


def test_those_connected_are_told_of_the_stop_and_of_its_end(site: Site) -> None:
    with talking(site.url) as one, talking(site.url) as other:
        site.wait_for_sessions(2)
        site.warn(60)
        assert told(one) == told(other)
        assert 30 <= site.activity()["stopping_in_s"] <= 60
        one.tell({"type": "settings"})
        assert told(other) == (None, "The server stays.")
        assert site.activity()["stopping_in_s"] is None
        assert not site.close()
        assert {one.next().name, one.next().name} == {"stopping", "settings"}


@pytest.mark.parametrize("way", ["a turn over SSE", "a new connection", "a turn that still runs"])
def test_the_door_is_not_shut_on_anybody(site: Site, way: str) -> None:
    if way == "a turn that still runs":
        thread = threading.Thread(target=ask, args=(site.url, RECORDING))
        with site.house.slow_replies():
            thread.start()
            wait_for(lambda: site.activity()["turns"] == 1, 30, "the turn")
            site.warn()
            assert not site.close()
        thread.join()
    else:
        site.warn()
        if way == "a turn over SSE":
            assert ask(site.url, RECORDING).last.name == "complete"
        else:
            with talking(site.url):
                site.wait_for_sessions(1)
    assert not site.close()
    assert ask(site.url, RECORDING).last.name == "complete"


def test_without_a_warning_the_door_stays_open(site: Site) -> None:
    assert not site.close()
    assert ask(site.url, RECORDING).last.name == "complete"


def test_a_shut_door_dismisses_those_who_sit_there_and_refuses_everybody(site: Site) -> None:
    with talking(site.url) as talk:
        site.wait_for_sessions(1)
        site.warn(30)
        assert told(talk)[0] == 30
        assert site.close()
        assert told(talk)[0] == 0
        with pytest.raises(ConnectionClosed) as closing:
            talk.next()
    assert closing.value.rcvd is not None
    assert (closing.value.rcvd.code, closing.value.rcvd.reason) == (1001, "stopping")
    site.wait_for_sessions(0)

    refused = httpx.post(f"{site.url}/api/stream-audio", files={"audio": RECORDING}, timeout=30)
    assert (refused.status_code, refused.json()["code"]) == (503, "stopping")
    assert int(refused.headers["Retry-After"]) > 0
    with talking(site.url) as late:
        error: Event = late.next()
        assert (error.name, error.data["code"]) == ("error", "stopping")
        with pytest.raises(ConnectionClosed) as closing:
            late.next()
    assert closing.value.rcvd is not None
    assert (closing.value.rcvd.code, closing.value.rcvd.reason) == (1001, "stopping")
    assert site.house.running() == 0


def test_a_door_that_is_opened_again_lets_everybody_in(site: Site) -> None:
    site.warn()
    assert site.close()
    assert site.close()  # shut is shut
    site.reopen()
    assert site.activity()["stopping_in_s"] is None
    assert ask(site.url, RECORDING).last.name == "complete"
    with talking(site.url) as talk:
        assert talk.ask(RECORDING).last.name == "complete"


def test_a_warning_that_is_taken_back_is_told(site: Site) -> None:
    """The watchdog cancels a stop although no client of this server was active."""
    with talking(site.url) as talk:
        site.wait_for_sessions(1)
        site.warn()
        assert told(talk)[0] == 60
        site.reopen()
        assert told(talk)[0] is None
    assert site.activity()["stopping_in_s"] is None


def test_who_leaves_because_of_the_warning_does_not_call_it_off(site: Site) -> None:
    with talking(site.url) as talk:
        site.wait_for_sessions(1)
        site.warn()
        told(talk)
    site.wait_for_sessions(0)
    assert site.close()


def test_who_was_refused_counts_once_the_door_is_open_again(site: Site) -> None:
    with a_sign_of_life(site):
        site.warn()
        assert site.close()
        httpx.post(f"{site.url}/api/stream-audio", files={"audio": RECORDING}, timeout=30)
        site.reopen()


class DeadLine:
    """A connection whose network is gone: nothing sent to it arrives."""

    busy = False

    async def tell(self, message: str) -> None:
        await asyncio.Event().wait()

    async def dismiss(self, code: int, reason: str) -> None:
        raise RuntimeError("the socket is closed")


@in_virtual_time
async def test_a_dead_line_does_not_hold_up_the_others() -> None:
    class Listener(DeadLine):
        heard: list[str]

        async def tell(self, message: str) -> None:
            self.heard.append(json.loads(message)["event"])

    listener = Listener()
    listener.heard = []
    presence = Presence()
    with presence.connected(DeadLine()), presence.connected(listener):
        async with asyncio.timeout(30):
            await presence.warn(60)
            assert await presence.close()
    assert listener.heard == ["stopping", "stopping"]


class Orders:
    """The watchdog's orders to the site, as it gives them to a server."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def activity(self) -> Activity:
        return activity_of(self.site.url)

    def warn(self, in_s: float) -> None:
        self.site.warn(in_s)

    def close(self) -> bool:
        return self.site.close()

    def reopen(self) -> None:
        self.site.reopen()


@pytest.fixture
def cloud() -> Iterator[PublishedApi]:
    with open_to_all(TensorDockApi(instances={UUID: {"status": "running"}})) as cloud:
        yield cloud


@pytest.fixture
def rented(cloud: PublishedApi) -> RentedMachine:
    return RentedMachine(machines.connect("tensordock", {"TENSORDOCK_API_TOKEN": TOKEN, machines.URL: cloud.url}), UUID)


TIMES = Times(1.6, warning_s=1.0, look_s=0.1, warned_look_s=0.1, confirm_look_s=0.1)


def test_the_whole_of_it_with_a_real_clock(site: Site, cloud: PublishedApi, rented: RentedMachine) -> None:
    """Routes, connections, watchdog and a provider's API: a talking client keeps the machine, an idle tab does not."""
    said: list[str] = []
    stopped = threading.Event()
    dog = Watchdog(Orders(site), rented, TIMES, said.append, stopped=stopped.set)
    with talking(site.url) as tab, talking(site.url) as talker:
        watch = threading.Thread(target=dog.run, daemon=True)
        watch.start()
        for _ in range(5):  # longer than the idle time, and never idle for so long
            talker.ask(RECORDING)
            time.sleep(0.4)
        assert "stopping" not in str(said)
        assert told(tab)[0] == 1
        talker.ask(RECORDING)  # within the warning
        assert told(tab)[0] is None
        assert told(tab)[0] == 1  # and then nobody speaks any more
        assert cloud.requests == []
        assert told(tab)[0] == 0
        assert stopped.wait(30)
    watch.join(30)
    assert cloud.said() == [f"POST /instances/{UUID}/stop", f"GET /instances/{UUID}"]
    assert said[-1] == "auto-stop: the machine stops"


def test_a_provider_that_refuses_leaves_a_server_that_serves(
    site: Site, cloud: PublishedApi, rented: RentedMachine
) -> None:
    cloud.trouble = [Answer(403, {"error": "This token may only look."})]
    said: list[str] = []
    over = threading.Event()
    dog = Watchdog(Orders(site), rented, TIMES, said.append, stopped=over.set, over=over)
    watch = threading.Thread(target=dog.run, daemon=True)
    watch.start()
    wait_for(lambda: bool(said) and "Serving on; next try in 5 min" in said[-1], 30, "the refusal")
    wait_for(lambda: site.activity()["stopping_in_s"] is None, 30, "the door to open")
    assert not over.is_set()
    over.set()
    assert "This token may only look." in said[-1]
    assert ask(site.url, RECORDING).last.name == "complete"
    with talking(site.url) as talk:
        assert talk.ask(RECORDING).last.name == "complete"
    watch.join(30)
