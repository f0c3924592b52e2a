"""Which pages and names reach the server: the rules as tables, and the real routes that follow them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest
from starlette.datastructures import Headers
from support.clients import Talk, refusal, talking
from support.containers import speech_like
from support.site_without_ray import Site, site_of
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from serve_app.audio import wav
from serve_app.errors import Forbidden
from serve_app.routes.origins import Origins, hosts_of

EVIL = "https://evil.example"
APP = "https://app.example"
RECORDING = wav(speech_like(1.0), 16_000)


def refused(origins: Origins, *headers: tuple[str, str]) -> str | None:
    """The code of the refusal, None if the request may pass."""
    try:
        origins.check(Headers(raw=[(name.encode(), value.encode("latin-1")) for name, value in headers]))
    except Forbidden as error:
        return error.code
    return None


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        *((host, True) for host in ("localhost", "localhost:8000", "LOCALHOST", "parle.localhost", "127.0.0.1:8000")),
        *((host, True) for host in ("127.9.8.7", "[::1]:8000", "192.168.1.7:80", "parle.school", "PARLE.school:443")),
        *((host, False) for host in ("evil.example", "evil.example:8000", "localhost.evil.example", "notlocalhost")),
        *((host, False) for host in ("parle.school.evil.example", "127.0.0.1.evil.example", "parle.school.", "")),
        *((host, False) for host in ("localhost/", "evil.example\\@localhost", "a@localhost", "localhost:x", "a b")),
        *((host, False) for host in ("localhost, evil.example", "localhost; script-src *", "[::1", "\xe9")),
    ],
)
def test_a_name_that_is_not_this_servers_is_refused(host: str, passes: bool) -> None:
    assert (refused(Origins(["parle.school"]), ("host", host)) is None) == passes


@pytest.mark.parametrize(
    ("host", "origin", "passes"),
    [
        ("localhost:8000", "http://localhost:8000", True),
        ("127.0.0.1:8000", "http://127.0.0.1:8000", True),
        ("[::1]:8000", "http://[::1]:8000", True),
        ("parle.school", "https://parle.school", True),  # TLS ended at a proxy
        ("parle.school:443", "https://parle.school", True),
        ("localhost", "http://localhost", True),
        ("parle.school", APP, True),
        ("parle.school", APP + "/", False),  # no browser writes a slash
        ("localhost:8000", "http://localhost:3000", False),
        ("localhost:8000", "http://127.0.0.1:8000", False),
        ("localhost:8000", "http://localhost", False),
        ("localhost:8000", EVIL, False),
        ("localhost:8000", "null", False),
        ("localhost:8000", "", False),
        ("localhost:8000", "file://", False),
        ("parle.school", "https://app.example.evil.example", False),
        ("parle.school", "http://app.example", False),
        ("parle.school", "https://parle.school:x", False),
    ],
)
def test_only_pages_of_this_server_and_of_the_listed_origins_pass(host: str, origin: str, passes: bool) -> None:
    origins = Origins(["parle.school"], [APP])
    assert refused(origins, ("host", host), ("origin", origin)) == (None if passes else "wrong_origin")


def test_a_header_sent_twice_or_an_origin_without_a_host_is_refused() -> None:
    origins = Origins()
    twice = [("host", "localhost"), ("origin", "http://localhost"), ("origin", EVIL)]
    assert refused(origins, *twice) == "wrong_origin"
    assert refused(origins, ("host", "localhost"), ("host", "evil.example")) == "wrong_host"
    assert refused(origins, ("origin", "http://localhost")) == "wrong_origin"
    assert refused(origins) is None  # HTTP/1.0 of a health check


def test_a_star_and_null_are_as_wide_as_they_say() -> None:
    assert refused(Origins(["*"], ["*"]), ("host", "any.example"), ("origin", EVIL)) is None
    assert refused(Origins([], ["null"]), ("host", "localhost"), ("origin", "null")) is None
    assert refused(Origins([], ["null"]), ("host", "localhost"), ("origin", EVIL)) == "wrong_origin"


# --- the routes --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with site_of(cors_origins=[APP], hosts=["parle.school"]) as site:
        yield site


def knock(site: Site, host: str, origin: str) -> ClientConnection:
    """A WebSocket to the site under another name, as with a name that was made to point here."""
    line = socket.create_connection(("127.0.0.1", site.port))
    return connect(f"ws://{host}/ws/stream", sock=line, origin=Origin(origin), max_size=None)


@pytest.mark.parametrize(
    ("host", "origin", "code"),
    [
        ("localhost", EVIL, "wrong_origin"),
        ("localhost", "null", "wrong_origin"),
        ("evil.example", "http://evil.example", "wrong_host"),
    ],
)
def test_no_foreign_page_starts_a_turn(site: Site, host: str, origin: str, code: str) -> None:
    made = site.house.made()
    headers = {"host": host, "origin": origin}
    url = f"{site.url}/api/stream-audio"
    assert refusal(httpx.post(url, files={"audio": ("a", RECORDING)}, headers=headers)) == (403, code)
    with pytest.raises(InvalidStatus) as refused:
        knock(site, host, origin)
    assert refused.value.response.status_code == 403
    page = httpx.get(site.url, headers=headers)
    assert refusal(page) == (403, code)
    assert "evil" not in str(page.headers) + page.text
    assert site.house.made() == made
    assert site.activity()["sessions"] == 0


@pytest.mark.parametrize("origin", [APP, "http://parle.school"])
def test_a_listed_origin_and_the_servers_own_may_talk(site: Site, origin: str) -> None:
    with knock(site, "parle.school", origin) as connection:
        assert Talk(connection).ask(RECORDING).last.name == "complete"
    page = httpx.get(site.url, headers={"host": "parle.school", "origin": origin})
    assert "connect-src 'self' ws://parle.school wss://parle.school;" in page.headers["content-security-policy"]


def test_a_listed_origin_gets_the_headers_that_its_browser_asks_for(site: Site) -> None:
    asked = {"origin": APP, "access-control-request-method": "POST"}
    allowed = httpx.options(f"{site.url}/api/stream-audio", headers=asked)
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, APP)
    assert refusal(httpx.options(f"{site.url}/api/stream-audio", headers=asked | {"origin": EVIL}))[0] == 403


def test_health_is_told_by_any_name(site: Site) -> None:
    for path in ("/healthz", "/readyz"):
        assert httpx.get(f"{site.url}{path}", headers={"host": "pod-7.svc", "origin": EVIL}).status_code == 200


def test_names_come_from_the_environment_too() -> None:
    assert hosts_of({"PARLE_HOSTS": "lab.example, parle.example"}) == ["lab.example", " parle.example"]
    names = Origins(hosts_of({"PARLE_HOSTS": "lab.example, parle.example,"}))
    assert [refused(names, ("host", host)) for host in ("parle.example:80", "", "evil.example")] == [
        *(None, "wrong_host", "wrong_host")
    ]


def test_a_recording_that_is_refused_calls_off_no_stop() -> None:
    with site_of() as site, talking(site.url) as talk:
        site.wait_for_sessions(1)
        site.warn(60)
        assert talk.next().data["in_s"] == 60
        url = f"{site.url}/api/stream-audio"
        assert httpx.post(url, content=b"junk").status_code == 400
        assert httpx.post(url, files={"audio": ("a", b"junk")}).status_code == 400
        assert httpx.post(url, files={"audio": ("a", RECORDING)}, headers={"origin": EVIL}).status_code == 403
        for nonsense in ("?", {"type": "dance"}, {"type": "settings", "speed": 9}):
            talk.tell(nonsense)
            assert talk.next().name == "error"
        talk.say(b"junk")
        assert talk.next().name == "error"
        assert site.activity()["stopping_in_s"] > 50
        assert site.close()


@pytest.mark.parametrize("path", ["/", "/web/app.js", "/healthz", "/api/info", "/api/none"])
def test_every_answer_has_headers_that_fence_it_in(site: Site, path: str) -> None:
    headers = httpx.get(f"{site.url}{path}").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == ("no-cache" if path in ("/", "/web/app.js") else "no-store")
