"""Typing instead of speaking: over every route, without the ears."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.clients import Answer, parse, talking
from support.containers import speech_like
from support.site_without_ray import Site, site_of

from serve_app.audio import wav
from serve_app.errors import InvalidField
from serve_app.routes.asked import TYPED_CHARACTERS, typed


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    with site_of() as running:
        yield running


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    shared.house.log.clear()
    yield shared
    shared.wait_until_idle()


def post(site: Site, **body: Any) -> Answer:
    with httpx.stream("POST", f"{site.url}/api/stream-audio", timeout=10, **body) as response:
        response.raise_for_status()
        return Answer(list(parse(response.iter_lines())))


def refused(site: Site, **body: Any) -> tuple[int, str, str]:
    answer = httpx.post(f"{site.url}/api/stream-audio", timeout=10, **body)
    return answer.status_code, answer.json()["code"], answer.json()["message"]


def heard_by_ears(site: Site) -> list[str]:
    return [entry for entry in site.house.log if entry.startswith("stt")]


FORM = {"files": {"text": (None, "Eu gosta de café."), "session_id": (None, "digitada")}}
JSON = {"json": {"text": "Eu gosta de café.", "session_id": "digitada"}}


@pytest.mark.parametrize("body", [FORM, JSON], ids=["form", "JSON"])
def test_what_is_typed_is_answered_as_if_it_had_been_said(site: Site, body: dict[str, Any]) -> None:
    answer = post(site, **body)
    heard = answer.one("transcript")
    assert (heard["transcript"], heard["typed"], heard["stt_ms"]) == ("Eu gosta de café.", True, 0)
    assert answer.one("correction")["better"].startswith("gosto")
    assert answer.last.name == "complete"
    assert answer.one("complete")["timing"]["stt_ms"] == 0
    assert not heard_by_ears(site)
    kept = httpx.get(f"{site.url}/api/sessions/digitada").json()["turns"][-1]
    assert (kept["transcript"], kept["words"]) == ("Eu gosta de café.", [])


def test_over_the_websocket(site: Site) -> None:
    with talking(site.url) as client:
        client.tell({"type": "say", "text": "Boa tarde!"})
        answer = client.until("complete", "error")
    assert answer.one("transcript")["typed"] is True
    assert answer.last.name == "complete"
    assert not heard_by_ears(site)


def test_what_was_spoken_is_not_called_typed(site: Site) -> None:
    answer = post(site, files={"audio": wav(speech_like(1.0), 16_000)})
    assert heard_by_ears(site)
    assert "typed" not in answer.one("transcript")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"json": {"text": "  \u200b\n"}}, "invalid_field", "text is empty"),
        ({"json": {"text": "?!"}}, "invalid_field", "text is empty"),
        ({"json": {"text": 7}}, "invalid_field", "text must be a string"),
        ({"json": {"text": "a" * (TYPED_CHARACTERS + 1)}}, "invalid_field", f"text may have {TYPED_CHARACTERS}"),
        ({"json": {}}, "no_audio", "'text'"),
        ({"json": ["Oi"]}, "invalid_field", "JSON object"),
        ({"json": {"text": "Oi", "sesion_id": "x"}}, "invalid_field", "session_id"),
        ({"files": {"audio": b"x", "text": (None, "Oi")}}, "invalid_field", "not both"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, "invalid_field", "JSON object"),
    ],
)
def test_what_cannot_be_an_utterance_is_refused(site: Site, body: dict[str, Any], code: str, message: str) -> None:
    status, found, text = refused(site, **body)
    assert (status, found) == (422 if code == "invalid_field" else 400, code)
    assert message in text


def test_a_websocket_that_types_nothing_is_told_so_and_goes_on(site: Site) -> None:
    with talking(site.url) as client:
        client.tell({"type": "say"})
        assert client.until("complete", "error").one("error")["code"] == "invalid_field"
        client.tell({"type": "say", "text": "Oi"})
        assert client.until("complete", "error").last.name == "complete"


def test_control_and_invisible_signs_are_no_part_of_it() -> None:
    assert typed(" Oi,\n\ttudo\u200b bem?\x00 ").text == "Oi, tudo bem?"
    assert typed("cafe\u0301").text == "café"
    with pytest.raises(InvalidField):
        typed("\u200b")
