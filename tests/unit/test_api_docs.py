"""The description of the HTTP API and the page that shows it: complete, sound, behind the key where there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from support.clients import ask, refusal
from support.containers import speech_like
from support.site_without_ray import Site, site_of

from serve_app.audio import wav
from serve_app.routes.openai_chat_fields import ChatFields
from serve_app.routes.openai_speech import SpeechFields
from serve_app.routes.openai_transcriptions import TranscriptionFields
from serve_app.routes.web import policy

SECRET = "a-key-that-somebody-thought-of"
FILES = {file.name: file.read_text("utf-8") for file in files("serve_app").joinpath("api_page").iterdir()}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with site_of() as site:
        yield site


@pytest.fixture(scope="module")
def api(site: Site) -> dict[str, Any]:
    return site.get("/openapi.json").raise_for_status().json()


CONVERSATIONS = {
    "GET /api/sessions/{session_id}",
    "DELETE /api/sessions/{session_id}",
    "GET /api/sessions/{session_id}/export",
    "GET /api/scenarios",
    "GET /api/learners/{learner_id}",
    "PATCH /api/learners/{learner_id}",
    "DELETE /api/learners/{learner_id}",
    "GET /api/learners/{learner_id}/export",
}
LESSONS = {"POST /api/stream-audio", "POST /api/start", "POST /api/sessions/{session_id}/finish"}
UNASKED = LESSONS - {"POST /api/stream-audio"}
"""They need no body."""


def operations(api: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{method.upper()} {path}": one for path, item in api["paths"].items() for method, one in item.items()}


def test_every_http_route_is_described(api: dict[str, Any]) -> None:
    assert api["openapi"].startswith("3.1")
    assert set(operations(api)) == {
        "GET /healthz",
        "GET /readyz",
        "GET /api/info",
        *CONVERSATIONS,
        *LESSONS,
        "POST /api/pronunciation",
        "GET /v1/models",
        "GET /v1/models/{model}",
        "POST /v1/audio/transcriptions",
        "POST /v1/audio/speech",
        "POST /v1/chat/completions",
    }
    assert all(one["summary"] for one in operations(api).values())


def test_what_is_described_answers(site: Site, api: dict[str, Any]) -> None:
    assert ask(site.url, wav(speech_like(1.0), 16_000), session_id="aula", learner_id="aula").last.name == "complete"
    names = operations(api)
    for name in sorted(names, key=lambda name: name.startswith("DELETE")):
        method, path = name.split()
        path = path.replace("{model}", "whisper-1").replace("{session_id}", "aula")
        path = path.replace("{learner_id}", "aula")
        answer = httpx.request(method, f"{site.url}{path}")
        usual = {"GET": 200, "DELETE": 204, "PATCH": 422}.get(method, 400)
        assert answer.status_code == (200 if name in UNASKED else usual), name
        assert str(answer.status_code) in names[name]["responses"] or answer.status_code in (400, 422)


def test_a_stack_with_fewer_routes_has_fewer_in_its_description() -> None:
    with site_of(routes=["sse"]) as site:
        assert set(operations(site.get("/openapi.json").json())) == {
            "GET /healthz",
            "GET /readyz",
            "GET /api/info",
            *CONVERSATIONS,
            *LESSONS,
        }


@pytest.mark.parametrize(
    ("path", "model", "kind"),
    [
        ("/v1/audio/speech", SpeechFields, "application/json"),
        ("/v1/chat/completions", ChatFields, "application/json"),
        ("/v1/audio/transcriptions", TranscriptionFields, "multipart/form-data"),
    ],
)
def test_every_field_is_described_and_the_schema_is_one(api: dict[str, Any], path: str, model: Any, kind: str) -> None:
    schema = api["paths"][path]["post"]["requestBody"]["content"][kind]["schema"]
    assert set(schema["properties"]) - {"file"} == set(model.model_fields)
    assert "$ref" not in str(schema)
    Draft202012Validator.check_schema(schema)


def test_the_schemas_take_what_the_server_takes_and_refuse_what_it_refuses(api: dict[str, Any], site: Site) -> None:
    body = api["paths"]["/v1/audio/speech"]["post"]["requestBody"]["content"]["application/json"]
    validator = Draft202012Validator(body["schema"])
    for sent in ({"input": "Oi."}, {"input": "Oi.", "speed": 2}, {"input": "Oi.", "voice": {"id": "pf_dora"}}):
        assert validator.is_valid(sent)
        assert httpx.post(f"{site.url}/v1/audio/speech", json=sent).status_code == 200
    for sent in ({}, {"input": "Oi.", "speed": 3}, {"input": "Oi.", "response_format": "ogg"}, {"input": ""}):
        assert not validator.is_valid(sent)
        assert httpx.post(f"{site.url}/v1/audio/speech", json=sent).status_code == 400


def test_each_refusal_is_described_in_the_form_it_has(site: Site, api: dict[str, Any]) -> None:
    for path in ("/v1/chat/completions", "/api/stream-audio"):
        content = api["paths"][path]["post"]["responses"]["default"]["content"]["application/json"]
        name = content["schema"]["$ref"].rpartition("/")[2]
        answer = httpx.post(f"{site.url}{path}", content=b"{")
        assert answer.status_code == 400
        Draft202012Validator(api["components"]["schemas"][name]).validate(answer.json())


def test_the_example_of_each_route_is_a_call_of_it(api: dict[str, Any]) -> None:
    for name, one in operations(api).items():
        for sample in one.get("x-codeSamples", ()):
            assert sample["source"].startswith("curl ")
            assert sample["source"].endswith(name.split()[1])


def test_with_keys_the_page_is_open_and_the_description_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLE_API_KEYS", f"ana:{SECRET}")
    with site_of() as site:
        for path in ("/docs", "/docs/page.js", "/docs/page.css"):
            assert site.get(path).status_code == 200
        assert refusal(site.get("/openapi.json")) == (401, "no_key")
        api = httpx.get(f"{site.url}/openapi.json", headers={"Authorization": f"Bearer {SECRET}"}).json()
    needed = {name for name, one in operations(api).items() if one["security"]}
    assert needed == set(operations(api)) - {"GET /healthz", "GET /readyz"}
    assert "POST /api/token" in needed
    assert api["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_page_is_fenced_in(site: Site, name: str) -> None:
    answer = site.get("/docs" if name == "index.html" else f"/docs/{name}")
    assert (answer.status_code, answer.text) == (200, FILES[name])
    assert answer.headers["content-security-policy"] == policy(f"127.0.0.1:{site.port}")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_of_the_page_is_inline_or_from_elsewhere() -> None:
    page = FILES["index.html"]
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)", page)
    assert set(re.findall(r'(?:href|src)="([^"]+)"', page)) == {
        "docs/page.css",
        "docs/page.js",
        "docs/icon.svg",
        "openapi.json",
    }
    assert set(re.findall(r"byId\('([\w-]+)'\)", FILES["page.js"])) <= set(re.findall(r'\sid="([\w-]+)"', page))
    for name, text in FILES.items():
        assert not re.search(r"https?:(?!//www.w3.org)|innerHTML|insertAdjacentHTML|document\.write|eval\(", text), name


def test_what_is_no_file_of_the_page_is_not_served(site: Site) -> None:
    for path in ("/docs/", "/docs/..%2fapi_page%2fpage.js", "/docs/index.php", "/docs/x/page.js"):
        assert site.get(path).status_code in (404, 307), path


def test_a_page_of_another_origin_may_not_read_the_description(site: Site) -> None:
    answer = httpx.get(f"{site.url}/openapi.json", headers={"Origin": "https://evil.example"})
    assert refusal(answer) == (403, "wrong_origin")
