"""What OpenAI's routes have in common: models, places, keys, origins, activity, measurements."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AuthenticationError, NotFoundError, OpenAI, RateLimitError
from support import recorded
from support.clients import HalfSent, refusal, talking
from support.containers import speech_like
from support.openai_sdk import checked, fault, sdk
from support.paths import ROOT
from support.site_without_ray import Site, site_of
from support.stages import House
from support.waiting import wait_for

from serve_app.audio import wav
from serve_app.errors import StageFailed

SECRET = "a-key-that-somebody-thought-of"
OI: list[Any] = [{"role": "user", "content": "Oi!"}]
RECORDING = wav(speech_like(1.0), 16_000)
POSTS: dict[str, dict[str, Any]] = {
    "/v1/audio/transcriptions": {"files": {"file": ("a.wav", RECORDING)}, "data": {"model": "whisper-1"}},
    "/v1/audio/speech": {"json": {"model": "tts-1", "input": "Oi, bom dia.", "voice": "alloy"}},
    "/v1/chat/completions": {"json": {"model": "gpt-4o", "messages": OI}},
}
every_post = pytest.mark.parametrize("path", POSTS)


@pytest.fixture
def site() -> Iterator[Site]:
    with site_of() as site:
        yield site


@pytest.fixture
def client(site: Site) -> OpenAI:
    return sdk(site.url)


def post(site: Site, path: str, **more: Any) -> httpx.Response:
    return httpx.post(f"{site.url}{path}", timeout=30, **POSTS[path], **more)


# --- models ------------------------------------------------------------------------------------------------


def test_the_models_are_those_of_the_stack_and_the_names_they_answer_to(client: OpenAI) -> None:
    models = {model.id: model.to_dict() for model in client.models.list()}
    assert {"wheel:whisper-base", "wheel:kokoro-82m", "wheel:qwen2.5-coder-1.5b-instruct"} <= set(models)
    assert models["whisper-1"]["alias_of"] == "wheel:whisper-base"
    assert models["tts-1"]["stage"] == "tts"
    assert {model["owned_by"] for model in models.values()} == {"parle"}


def test_a_model_is_found_by_its_name_and_an_unknown_one_is_not(client: OpenAI) -> None:
    assert client.models.retrieve("gpt-4o-mini").to_dict()["alias_of"] == "wheel:qwen2.5-coder-1.5b-instruct"
    with pytest.raises(NotFoundError, match="did you mean 'whisper-1'") as refused:
        client.models.retrieve("whisper-2")
    assert fault(refused.value) == (404, "model_not_found", "model")


def test_a_model_from_a_hub_is_found_by_its_whole_name() -> None:
    stt = {"engine": "faster-whisper", "model": "openai/whisper-small"}
    with site_of(stt=stt) as site:
        assert sdk(site.url).models.retrieve("openai/whisper-small").id == "openai/whisper-small"


# --- admission ---------------------------------------------------------------------------------------------


@every_post
def test_a_request_takes_one_of_the_places_for_turns(path: str) -> None:
    house = House()
    house.stt.takes_s = 30.0
    with site_of(house, limits={"max_turns": 1}) as site, talking(site.url) as talk:
        talk.say(RECORDING)
        talk.next()
        answer = post(site, path)
        assert (answer.status_code, checked(answer)["code"]) == (429, "busy")
        assert int(answer.headers["retry-after"]) >= 1


def test_a_turn_is_refused_while_a_request_has_the_last_place() -> None:
    house = House()
    house.llm.word_s = 0.5
    with site_of(house, limits={"max_turns": 1}) as site:
        body = {"messages": OI, "stream": True}
        with httpx.stream("POST", f"{site.url}/v1/chat/completions", json=body) as answer:
            words = answer.iter_lines()
            assert next(words)
            assert site.activity()["turns"] == 1
            assert refusal(httpx.post(f"{site.url}/api/stream-audio", files={"audio": RECORDING})) == (503, "busy")
            with pytest.raises(RateLimitError):
                sdk(site.url).audio.speech.create(model="tts-1", voice="alloy", input="Oi.")
        site.wait_until_idle()


@every_post
def test_a_client_over_its_rate_is_refused_and_others_are_not(path: str) -> None:
    with site_of(limits={"client_turns_per_minute": 1}) as site:
        other = {"x-forwarded-for": "203.0.113.7"}
        assert post(site, path, headers=other).status_code == 200
        answer = post(site, path, headers=other)
        assert (answer.status_code, checked(answer)["code"]) == (429, "too_many")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert post(site, path).status_code == 200


def test_an_upload_that_stays_behind_is_refused_in_openais_form() -> None:
    with site_of(limits={"upload_s": 1}) as site, HalfSent(site.url, path="/v1/audio/speech") as stalled:
        status, headers, body = stalled.answer()
    assert (status, body["error"]["code"], headers["connection"]) == (408, "too_slow", "close")


@every_post
def test_a_server_that_is_being_stopped_refuses(site: Site, path: str) -> None:
    site.warn()
    assert site.close()
    answer = post(site, path)
    assert (answer.status_code, checked(answer)["code"]) == (503, "stopping")


@every_post
def test_a_request_keeps_a_server_awake(site: Site, path: str) -> None:
    site.warn()
    assert post(site, path).status_code == 200
    assert site.activity()["stopping_in_s"] is None
    assert not site.close()


def test_the_upload_and_the_stage_are_measured_as_a_turn(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="ray.serve"):
        for path in POSTS:
            post(site, path, headers={"x-request-id": f"r{path.count('a')}"})
        wait_for(lambda: len(_turns(caplog)) == 3, 30, "the three log lines")
    turns = _turns(caplog)
    assert [turn["route"] for turn in turns] == ["openai"] * 3
    assert [[call["stage"] for call in turn["calls"]] for turn in turns] == [["stt"], ["tts"], ["llm"]]
    assert {turn["outcome"] for turn in turns} == {"complete"}
    assert turns[0]["calls"][0]["audio_s"] == 1.0
    assert turns[1]["calls"][0]["audio_s"] == pytest.approx(0.1)
    assert turns[2]["calls"][0]["prompt_tokens"] == 100
    assert "Oi" not in caplog.text


def _turns(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.__dict__["turn"] for record in caplog.records if "turn" in record.__dict__]


# --- who may ask -------------------------------------------------------------------------------------------


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("PARLE_API_KEYS", f"ana:{SECRET}")
    with site_of() as site:
        yield site


def test_the_sdks_key_is_the_servers_key(locked: Site) -> None:
    client = sdk(locked.url, SECRET)
    assert client.chat.completions.create(model="gpt-4o", messages=OI).choices[0].message.content
    assert client.audio.transcriptions.create(model="whisper-1", file=("a.wav", RECORDING)).text
    assert len(list(client.models.list())) > 5


def test_a_wrong_key_is_refused_in_openais_form(locked: Site) -> None:
    with pytest.raises(AuthenticationError) as refused:
        sdk(locked.url, "sk-wrong").models.list()
    assert fault(refused.value) == (401, "invalid_api_key", None)
    assert refused.value.response.headers["www-authenticate"] == "Bearer"
    answer = httpx.get(f"{locked.url}/api/info")
    assert refusal(answer) == (401, "no_key")


@every_post
def test_without_a_key_nothing_is_read(locked: Site, path: str) -> None:
    answer = post(locked, path)
    assert (answer.status_code, checked(answer)["code"]) == (401, "invalid_api_key")
    assert locked.house.made() == 0


def test_a_page_of_another_origin_is_refused_in_openais_form(site: Site) -> None:
    answer = post(site, "/v1/chat/completions", headers={"origin": "https://evil.example"})
    assert (answer.status_code, checked(answer)["code"]) == (403, "wrong_origin")


# --- what is not there -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/audio/translations", "/v1/", "/v1/chat"])
def test_what_this_api_lacks_is_refused_in_openais_form(site: Site, path: str) -> None:
    answer = httpx.post(f"{site.url}{path}", json={})
    assert (answer.status_code, checked(answer)["code"]) == (404, "not_found")


def test_the_wrong_method_is_refused_in_openais_form(site: Site) -> None:
    answer = httpx.get(f"{site.url}/v1/audio/speech")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    checked(answer)


def test_a_stack_without_the_route_says_so() -> None:
    with site_of(routes=["sse"]) as site:
        answer = httpx.get(f"{site.url}/v1/models")
        assert (answer.status_code, checked(answer)["code"]) == (404, "not_found")
        assert "GET /api/info" in answer.json()["error"]["message"]


def test_other_routes_keep_their_form(site: Site) -> None:
    assert refusal(httpx.get(f"{site.url}/v2/models")) == (404, "not_found")
    assert refusal(httpx.post(f"{site.url}/api/stream-audio", data={"x": "1"})) == (400, "no_audio")


# --- the documentation -------------------------------------------------------------------------------------

PAGE = (ROOT / "docs/openai.md").read_text("utf-8")
SERVER = "http://127.0.0.1:8000"


@pytest.mark.parametrize("line", re.findall(r"^    (curl .+)$", PAGE, re.MULTILINE))
def test_a_curl_line_of_the_documentation_works(site: Site, tmp_path: Path, line: str) -> None:
    (tmp_path / "pergunta.wav").write_bytes(RECORDING)
    command = ["bash", "-c", line.replace("curl ", "curl -sS --fail-with-body ").replace(SERVER, site.url)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    written = tmp_path / "resposta.mp3"
    assert ran.stdout or written.stat().st_size > 500


def test_the_program_of_the_documentation_works(site: Site, tmp_path: Path) -> None:
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "pergunta.wav").write_bytes(RECORDING)
    command = [sys.executable, "-c", program.replace(SERVER, site.url)]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"{site.house.stt.text}\n{site.house.llm.reply_text}"
    assert (tmp_path / "resposta.mp3").stat().st_size > 500


STAGE_OF = {"/v1/audio/transcriptions": "stt", "/v1/audio/speech": "tts", "/v1/chat/completions": "llm"}


@every_post
def test_the_error_of_a_stage_is_counted_once_and_as_that_stages(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = recorded.keep(monkeypatch)
    stage, house = STAGE_OF[path], House()
    with site_of(house) as site:
        assert post(site, path).status_code == 200
        getattr(house, stage).work.fails_with = StageFailed("The stage was lost.", code="stage_lost", stage=stage)
        assert post(site, path).status_code == 500
        site.wait_until_idle()
    assert seen.of("parle_errors_total") == [1]
    assert seen.one("parle_errors_total", route="openai", stage=stage, code="stage_lost") == 1


def test_an_answer_that_was_stopped_for_its_length_is_counted_as_an_error_of_its_stage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, house = recorded.keep(monkeypatch), House()
    house.llm.word_s = 30.0
    with site_of(house, limits={"turn_s": 1.0}) as site:
        assert post(site, "/v1/chat/completions").status_code == 504
        site.wait_until_idle()
    assert seen.of("parle_errors_total") == [1]
    assert seen.one("parle_errors_total", route="openai", stage="llm", code="turn_timeout") == 1
    assert seen.one("parle_turns_total", route="openai", outcome="error") == 1
