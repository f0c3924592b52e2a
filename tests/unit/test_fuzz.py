"""Damaged recordings, odd forms and odd messages, a few of each kind; `make fuzz` sends thousands."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from random import Random

import pytest
from support.clients import ask
from support.containers import FORMATS, recording
from support.site_without_ray import Site, site_of

from bench import fuzz_realtime, fuzz_requests
from bench.damaged import DAMAGES, damaged
from bench.fuzz_requests import Wrong, over_sse, over_websocket

FILES = 4
SHORT_S = 0.5
SEED = 20


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with site_of() as site:
        yield site


def test_damaged_recordings_of_every_container_are_answered_or_refused(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes: Counter[str] = Counter()
    for name in FORMATS:
        for number in range(FILES):
            sent = damaged(recording(name, SHORT_S), Random(f"{SEED} {name} {number}"))
            outcomes[(over_websocket if number % 4 == 3 else over_sse)(site.url, sent)] += 1
    assert {"200 complete", "400 bad_audio", "websocket complete", "websocket error bad_audio"} <= outcomes.keys()
    in_order(site, caplog)


@pytest.mark.parametrize(("way", "examples"), [("forms", 25), ("messages", 60), ("realtime", 150), ("schema", 3)])
def test_odd_requests_are_answered_or_refused(
    site: Site, caplog: pytest.LogCaptureFixture, way: str, examples: int
) -> None:
    outcomes: Counter[str] = Counter()

    def add(what: str, send: Callable[[], str]) -> None:
        outcomes[send()] += 1

    send_all = fuzz_realtime.realtime if way == "realtime" else getattr(fuzz_requests, way)
    if way == "schema":  # all of them take seconds, most of them to be thought up
        send_all = partial(send_all, only=("/api/stream-audio", "/v1/audio/transcriptions"))
    sent = send_all(add, site.url, examples, SEED, time.monotonic() + 60)
    assert sent == outcomes.total() >= examples
    assert len(outcomes) > 1  # they are not all refused for the same reason
    in_order(site, caplog)


def in_order(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Every place is free again, a right recording is answered, and nothing was logged as a fault of ours."""
    site.wait_until_idle()
    assert ask(site.url, recording("webm-opus", SHORT_S)).last.name == "complete"
    assert "Traceback" not in caplog.text


def test_what_is_sent_depends_on_the_seed_alone() -> None:
    whole = recording("ogg-opus", SHORT_S)
    sent = [damaged(whole, Random(f"{SEED} {number}")) for number in range(50)]
    assert sent == [damaged(whole, Random(f"{SEED} {number}")) for number in range(50)]
    assert len({*sent, whole}) > 45
    for damage in DAMAGES:
        damage(bytearray(b"x"), Random(SEED))  # also of a single byte


@pytest.mark.parametrize(
    ("status", "media", "body"),
    [
        (500, "application/json", '{"code": "internal"}'),
        (404, "text/plain", "Not Found"),
        (200, "text/event-stream", "event: audio\ndata: {}\n\n"),
        (200, "text/event-stream", 'event: error\ndata: {"code": "internal"}\n\n'),
    ],
)
def test_wrong_answers_are_seen(status: int, media: str, body: str) -> None:
    answer = fuzz_requests.httpx.Response(status, headers={"content-type": media}, content=body)
    with pytest.raises(Wrong):
        fuzz_requests._outcome(answer)
