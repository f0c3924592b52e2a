"""GET, export and DELETE of a conversation, over stages without models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from support.clients import ask, asking, refusal
from support.containers import speech_like
from support.site_without_ray import Site, site_of
from support.stages import House
from support.waiting import wait_for

from serve_app.access import keys
from serve_app.audio import wav

RECORDING = wav(speech_like(1.0), 16_000)
SAID = "Eu gosto de futebol."
REPLY = "Que legal! Você gosta muito de futebol. E qual é o seu time?"


@pytest.fixture
def site() -> Iterator[Site]:
    with site_of() as running:
        yield running


def test_a_conversation_can_be_read_as_it_was_held(site: Site) -> None:
    first = ask(site.url, RECORDING, session_id="aula")
    ask(site.url, RECORDING, session_id="aula", level="C1")
    answer = site.get("/api/sessions/aula")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    kept = answer.json()
    assert (kept["session_id"], kept["level"], len(kept["turns"])) == ("aula", "C1", 2)
    assert kept["stack"] == "wheel:whisper-base, lexical, wheel:qwen2.5-coder-1.5b-instruct, wheel:kokoro-82m"
    turn = kept["turns"][0]
    assert (turn["state"], turn["error"], turn["correction"]) == ("complete", None, None)
    assert turn["transcript"] == first.one("transcript")["transcript"] == SAID
    assert turn["words"] == first.one("transcript")["words"]
    assert turn["level"] == first.one("level")
    assert turn["reply"] == first.one("complete")["response"] == REPLY
    assert turn["timing"]["total_ms"] == pytest.approx(first.one("complete")["timing"]["total_ms"], abs=50)
    began, ended = (datetime.fromisoformat(turn[name]) for name in ("began", "ended"))
    assert began <= ended


def test_a_correction_is_kept_as_it_was_sent() -> None:
    house = House()
    house.stt.text = "Eu gosta de futebol."
    with site_of(house) as site:
        turn = ask(site.url, RECORDING, session_id="aula", correction="explicit")
        [kept] = site.get("/api/sessions/aula").json()["turns"]
        exported = site.get("/api/sessions/aula/export?format=markdown").text
    assert kept["correction"] == turn.one("correction")
    assert f"*{turn.one('correction')['said']} → {turn.one('correction')['better']}*" in exported


def test_a_reply_that_was_interrupted_is_kept_as_far_as_it_was_heard() -> None:
    house = House()
    with site_of(house) as site:
        with house.slow_replies(), asking(site.url, RECORDING, session_id="aula", order="eager") as events:
            while next(events).name != "audio":
                pass
        wait_for(lambda: site.get("/api/sessions/aula").json()["turns"][0]["state"] != "running", 30, "the end")
        [kept] = site.get("/api/sessions/aula").json()["turns"]
    assert kept["state"] == "interrupted"
    assert kept["reply"]
    assert REPLY.startswith(kept["reply"])
    assert kept["reply"] != REPLY


def test_a_turn_is_kept_from_its_transcript_on_and_grows_with_what_is_spoken() -> None:
    house = House()
    house.cefr.takes_s, house.llm.word_s = 2, 0.3
    with site_of(house) as site:

        def kept() -> dict[str, str]:
            [turn] = site.get("/api/sessions/aula").json()["turns"]
            return turn

        with asking(site.url, RECORDING, session_id="aula", order="eager") as events:
            while next(events).name != "transcript":
                pass
            assert (kept()["state"], kept()["transcript"], kept()["reply"]) == ("running", SAID, "")
            while (event := next(events)).name != "audio":
                pass
            house.llm.word_s = 30
            assert (kept()["state"], kept()["reply"]) == ("running", event.data["text"])


def test_a_turn_that_failed_is_kept_with_its_error() -> None:
    house = House()
    house.llm.work.fails_with = RuntimeError("broken")
    with site_of(house) as site:
        ask(site.url, RECORDING, session_id="aula")
        [kept] = site.get("/api/sessions/aula").json()["turns"]
    assert (kept["state"], kept["error"], kept["transcript"], kept["reply"]) == ("failed", "internal", SAID, "")


def test_an_export_is_json_or_a_text_to_read(site: Site) -> None:
    ask(site.url, RECORDING, session_id="aula:1")

    def export(query: str = "", accept: str = "*/*") -> httpx.Response:
        return httpx.get(f"{site.url}/api/sessions/aula:1/export{query}", headers={"Accept": accept})

    whole = site.get("/api/sessions/aula:1").json()
    for answer in (export(), export(accept="application/json"), export("?format=json", "text/markdown")):
        assert answer.json() == whole
        assert answer.headers["content-disposition"] == 'attachment; filename="parle-aula-1.json"'
    for answer in (export("?format=markdown"), export(accept="text/markdown;q=1, */*"), export(accept="text/plain")):
        assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
        assert f"**Você** (B1): {SAID}\n\n**Parle**: {REPLY}" in answer.text
    assert refusal(export("?format=markdwn")) == (422, "invalid_field")
    assert "did you mean 'markdown'?" in export("?format=markdwn").text


def test_a_deleted_conversation_is_gone_and_begins_anew(site: Site) -> None:
    ask(site.url, RECORDING, session_id="aula")
    ask(site.url, RECORDING, session_id="outra")
    assert httpx.delete(f"{site.url}/api/sessions/aula").status_code == 204
    for answer in (
        site.get("/api/sessions/aula"),
        site.get("/api/sessions/aula/export"),
        httpx.delete(f"{site.url}/api/sessions/aula"),
    ):
        assert refusal(answer) == (404, "no_conversation")
    assert ask(site.url, RECORDING, session_id="aula").one("level")["utterances"] == 1
    assert site.get("/api/sessions/outra").status_code == 200


@pytest.mark.parametrize("session_id", ["nobody", "a%20b", "x" * 129, "..", "%00", "aula%2Fexport"])
def test_what_nobody_has_is_not_found(site: Site, session_id: str) -> None:
    assert refusal(site.get(f"/api/sessions/{session_id}"))[0] == 404
    assert refusal(httpx.delete(f"{site.url}/api/sessions/{session_id}"))[0] in (404, 405)


def test_a_conversation_is_there_for_the_key_that_made_it_only(tmp_path: Path) -> None:
    secrets = {}
    file = tmp_path / "keys.txt"
    with file.open("w") as lines:
        for name in ("ana", "rui"):
            secrets[name], key = keys.make(name)
            lines.write(f"{key.line}\n")
    headers = {name: {"Authorization": f"Bearer {secret}"} for name, secret in secrets.items()}
    with site_of(keys_file=str(file)) as site:
        url = f"{site.url}/api/sessions/aula"
        httpx.post(
            f"{site.url}/api/stream-audio",
            files={"audio": ("a", RECORDING)},
            data={"session_id": "aula"},
            headers=headers["ana"],
            timeout=30,
        ).raise_for_status()
        for method in ("GET", "DELETE"):
            assert refusal(httpx.request(method, url)) == (401, "no_key")
            assert refusal(httpx.request(method, url, headers=headers["rui"])) == (404, "no_conversation")
            evil = {**headers["ana"], "Origin": "https://evil.example"}
            assert refusal(httpx.request(method, url, headers=evil)) == (403, "wrong_origin")
        assert refusal(httpx.get(f"{url}/export", headers=headers["rui"])) == (404, "no_conversation")
        assert httpx.get(url, headers=headers["ana"]).json()["session_id"] == "aula"
        assert httpx.delete(url, headers=headers["ana"]).status_code == 204


def test_another_server_on_the_same_store_goes_on_with_the_conversation(tmp_path: Path) -> None:
    kept = f"sqlite:///{tmp_path}/parle/aulas.sqlite3"
    with site_of(kept=kept) as site:
        ask(site.url, RECORDING, session_id="aula")
        before = site.get("/api/sessions/aula").json()
        assert site.info()["store"] == {"kind": "sqlite", "reachable": True, "unwritten": 0}
        assert site.get("/readyz").json()["store"] is True
    with site_of(kept=kept) as site:
        assert site.get("/api/sessions/aula").json() == before
        turn = ask(site.url, RECORDING, session_id="aula")
        assert turn.one("level")["utterances"] == 2
        [request] = site.house.llm.requests
        assert [exchange.tutor for exchange in request.history] == [REPLY]
    folder = tmp_path / "parle"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
