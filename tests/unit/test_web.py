"""The browser client as served: the files, their headers, their references, and that every text is there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException

from serve_app.routes import refuse_http
from serve_app.routes.web import PageFiles, policy

FILES = {file.name: file.read_text("utf-8") for file in files("serve_app").joinpath("web").iterdir()}
MODULES = {name: text for name, text in FILES.items() if name.endswith(".js")}
PAGE = FILES["index.html"]


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    app.add_exception_handler(HTTPException, refuse_http)
    app.include_router(PageFiles().router())
    with TestClient(app, base_url="http://parle.test:8000") as client:
        yield client


def texts(language: str) -> dict[str, str]:
    found = re.findall(r"^  '?([\w.]+)'?: '(.*)',$", FILES[f"texts_{language}.js"], re.MULTILINE)
    assert len(found) > 100
    return dict(found)


def assert_fenced_in(headers: Mapping[str, str]) -> None:
    assert headers["content-security-policy"] == policy("parle.test:8000")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["permissions-policy"] == "microphone=(self), camera=(), geolocation=()"


def test_the_page_is_at_the_root(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert_fenced_in(answer.headers)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text == PAGE


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_file_has_its_type_and_the_headers_that_fence_it_in(client: TestClient, name: str) -> None:
    answer = client.get(f"/web/{name}")
    assert (answer.status_code, answer.text) == (200, FILES[name])
    kind = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    assert answer.headers["content-type"].startswith(kind[name.rpartition(".")[2]])
    assert_fenced_in(answer.headers)


def test_the_policy_names_this_host_and_nothing_inline() -> None:
    rules = dict(rule.split(" ", 1) for rule in policy("parle.test:8000").split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["img-src"] == "'self'"
    assert rules["media-src"] == "blob:"  # an answer said again slowly
    assert rules["connect-src"] == "'self' ws://parle.test:8000 wss://parle.test:8000"
    assert "unsafe" not in policy("parle.test")


@pytest.mark.parametrize("host", ["", "evil.test; script-src *", "evil.test 'unsafe-inline'", "a,b", "x" * 300])
def test_a_host_header_that_names_no_host_adds_nothing_to_the_policy(host: str) -> None:
    assert "connect-src 'self';" in policy(host)


def test_a_browser_that_has_a_file_gets_it_once(client: TestClient) -> None:
    first = client.get("/web/app.js")
    assert first.headers["cache-control"] == "no-cache"
    for tags in (first.headers["etag"], f'"other", {first.headers["etag"]}', f"W/{first.headers['etag']}"):
        again = client.get("/web/app.js", headers={"if-none-match": tags})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["cache-control"] == "no-cache"
        assert_fenced_in(again.headers)
    assert client.get("/web/app.js", headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/web", "/web/", "/web/none.js", "/web/..%2fstack.py", "/web/../stack.py", "/web/__init__.py"]
)
def test_nothing_else_is_served(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_file_of_another_kind_is_not_served(tmp_path: Path) -> None:
    web = PageFiles()
    web.all_directories[:] = [tmp_path]
    for name in ("notes.txt", "app.js"):
        tmp_path.joinpath(name).write_text("//")
    app = FastAPI()
    app.include_router(web.router())
    with TestClient(app) as other:
        assert [other.get(f"/web/{name}").status_code for name in ("notes.txt", "app.js")] == [404, 200]


def test_head_is_answered(client: TestClient) -> None:
    assert client.head("/").status_code == client.head("/web/style.css").status_code == 200
    assert client.post("/").status_code == 405


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)", PAGE)
    for name, text in FILES.items():
        links = re.findall(r"(?:https?|wss?)://[\w.]+", text)
        allowed = {"http://www.w3.org"} | ({"http://localhost"} if name.startswith("texts_") else set())
        assert set(links) <= allowed, name
        assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(", text), name


def test_every_file_that_is_referred_to_is_there_and_every_file_is_referred_to() -> None:
    used = set(re.findall(r'"web/([\w.]+)"', PAGE))
    for name, text in MODULES.items():
        imported = set(re.findall(r"from '\./([\w.]+)'", text))
        assert imported <= set(FILES), name
        used |= imported
    assert used == set(FILES) - {"index.html"}


def test_every_element_that_a_module_looks_for_is_on_the_page() -> None:
    ids = set(re.findall(r'\sid="([\w-]+)"', PAGE))
    for name, text in MODULES.items():
        assert set(re.findall(r"byId\('([\w-]+)'\)", text)) <= ids, name
        assert {f"i-{icon}" for icon in re.findall(r"\bicon\('(\w+)'\)", text)} <= ids, name


def test_every_text_that_is_asked_for_exists() -> None:
    known = texts("pt").keys()
    assert set(re.findall(r'data-explained="([\w.]+)"', PAGE)) <= texts("en").keys() - known
    asked = set(re.findall(r'data-i18n(?:-label)?="([\w.]+)"', PAGE))
    for text in MODULES.values():
        asked |= set(re.findall(r"\bt\('([\w.]+)'", text))
        asked |= {key for pair in re.findall(r"\bt\([^()]* \? '([\w.]+)' : '([\w.]+)'", text) for key in pair}
    assert asked <= known, asked - known


def test_every_error_of_the_wire_is_explained(request: pytest.FixtureRequest) -> None:
    wire = (request.config.rootpath / "docs/wire.md").read_text("utf-8")
    inside = wire[wire.index("Inside a turn") : wire.index("After any of them")]
    refused = {"no_audio", "bad_audio", "too_large", "too_long", "too_many", "stopping"}
    codes = ({*re.findall(r"`(\w+)`", inside)} | refused) - {"error"}
    assert codes <= {key.removeprefix("error.") for key in texts("en")}
