"""API keys and tokens: what they accept, how they are read again, and the real routes behind them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from itsdangerous import URLSafeTimedSerializer
from support.clients import PATIENCE_S, Talk, parse, refusal
from support.containers import speech_like
from support.site_without_ray import Site, site_of
from support.waiting import wait_for
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from serve_app.access import keys, tokens
from serve_app.access.keys import Key, Keys
from serve_app.access.tokens import OWN, TOKEN_S, Tokens
from serve_app.audio import wav
from serve_app.cli.main import cli
from serve_app.clouds.autostop import Unknown
from serve_app.clouds.served import activity_of
from serve_app.config.stack import StackArgs
from serve_app.errors import StackError
from serve_app.launch import child_process, exposure
from serve_app.launch.dashboard import refused_settings

RECORDING = wav(speech_like(1.0), 16_000)
SECRET = "a-key-that-somebody-thought-of"


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.txt"


# --- keys --------------------------------------------------------------------------------------------------


def test_a_made_key_is_found_by_its_secret_and_by_nothing_else(file: Path) -> None:
    secret, made = keys.make("school")
    file.write_text(f"# who may come in\n\n{made.line}  # since May\n")
    known = Keys(file, {})
    assert known.required
    assert known.find(secret) == made == Key("school", hashed(secret))
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), made.digest, made.line, "\udce9"):
        assert known.find(wrong) is None
    assert secret not in file.read_text() + repr(made)
    assert keys.make("school")[0] != secret


def test_keys_of_the_environment_may_be_plain_or_hashed() -> None:
    known = Keys(None, {"PARLE_API_KEYS": f"ana:{SECRET}, rui:sha256:{hashed('another' * 9)}"})
    assert [known.find(secret) for secret in (SECRET, "another" * 9, "ana")] == [
        Key("ana", hashed(SECRET)),
        Key("rui", hashed("another" * 9)),
        None,
    ]
    assert not Keys(None, {}).required
    assert not Keys(None, {"PARLE_API_KEYS": " "}).required


@pytest.mark.parametrize(
    "entry", ["short", "ana:short", f":{SECRET}", f"a b:{SECRET}", f"a/b:{SECRET}", f"x:{SECRET}é"]
)
def test_a_bad_entry_is_refused_without_being_quoted(entry: str) -> None:
    with pytest.raises(StackError) as refused:
        Keys(None, {"PARLE_API_KEYS": entry})
    assert "entry 1 of PARLE_API_KEYS" in refused.value.message
    assert SECRET not in refused.value.message
    assert "short" not in refused.value.message


@pytest.mark.parametrize(
    "line", [SECRET, f"ana {SECRET}", f"ana sha256:{'0' * 63}", f"a/b sha256:{'0' * 64}", "\xe9 x"]
)
def test_a_bad_line_is_refused_without_being_quoted(file: Path, line: str) -> None:
    file.write_text(f"{keys.make('ana')[1].line}\n{line}\n")
    with pytest.raises(StackError, match="Line 2 of ") as refused:
        Keys(file, {})
    assert SECRET not in refused.value.message


def test_a_missing_file_keeps_the_server_from_starting(file: Path) -> None:
    with pytest.raises(StackError, match="cannot be read"):
        Keys(file, {})
    with pytest.raises(StackError, match="cannot be read"):
        Keys(None, {"PARLE_KEYS_FILE": str(file)})


def test_the_file_is_read_again_when_it_changes_and_what_is_broken_changes_nothing(file: Path) -> None:
    now = 0.0
    (old, first), (new, second) = keys.make("school"), keys.make("school")
    file.write_text(f"{first.line}\n")
    known = Keys(file, {}, clock=lambda: now)

    def seen() -> list[bool]:
        nonlocal now
        now += keys.LOOK_S
        return [known.find(secret) is not None for secret in (old, new)]

    assert seen() == [True, False]
    file.write_text(f"{first.line}\n{second.line}\n")
    assert seen() == [True, True]
    file.write_text(f"{second.line}\n")
    assert seen() == [False, True]
    file.write_text("what is this\n")
    assert seen() == [False, True]
    file.unlink()
    assert seen() == [False, True]
    file.write_text("")
    assert seen() == [False, False]
    assert known.required  # an empty file lets nobody in, not everybody


def test_the_command_writes_a_line_that_is_read_and_shows_the_key_once(file: Path) -> None:
    run = CliRunner().invoke(cli, ["key", "school", "--file", str(file)])
    secret = run.output.split()[1]
    assert secret.startswith("parle_")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    CliRunner().invoke(cli, ["key", "ana", "--file", str(file)])
    assert [key.name for key in keys.read(file)] == ["school", "ana"]
    assert Keys(file, {}).find(secret) is not None
    assert secret not in file.read_text()
    file.write_text("a file of something else\n")
    assert CliRunner().invoke(cli, ["key", "ana", "--file", str(file)]).exit_code != 0
    assert file.read_text() == "a file of something else\n"


@pytest.mark.parametrize(
    ("host", "named"),
    [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), ("::", True), ("10.0.0.7", True)],
)
def test_an_open_address_without_a_key_is_named(monkeypatch: pytest.MonkeyPatch, host: str, named: bool) -> None:
    line = exposure.warning(StackArgs(), host, 8000)
    assert (line is not None) == named
    assert line is None or f"{host}:8000" in line
    monkeypatch.setenv("PARLE_API_KEYS", f"ana:{SECRET}")
    assert exposure.warning(StackArgs(), host, 8000) is None


# --- tokens ------------------------------------------------------------------------------------------------


def test_a_token_stands_for_its_key_until_it_is_old_forged_or_the_key_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Keys(None, {"PARLE_API_KEYS": f"ana:{SECRET}"})
    key = known.find(SECRET)
    assert key is not None
    signer = Tokens(known, "secret")
    token = signer.issue(key)
    assert signer.find(token) == key
    assert Tokens(Keys(None, {"PARLE_API_KEYS": f"ana:{SECRET}-changed"}), "secret").find(token) is None
    assert Tokens(known, "another secret").find(token) is None
    for forged in ("", "x", token[:-1], "." + token, token.replace(".", "..", 1), SECRET):
        assert signer.find(forged) is None
    other_shape = URLSafeTimedSerializer("secret", salt="parle token").dumps({"name": "ana"})
    assert signer.find(str(other_shape)) is None
    now = tokens.URLSafeTimedSerializer.default_signer.get_timestamp
    monkeypatch.setattr(
        tokens.URLSafeTimedSerializer.default_signer, "get_timestamp", lambda signer: now(signer) + TOKEN_S + 2
    )
    assert signer.find(token) is None


def test_parle_itself_needs_no_key() -> None:
    environment: dict[str, str] = {}
    assert tokens.own_headers(environment) == {}
    tokens.share_secret(environment)
    scheme, token = tokens.own_headers(environment)["Authorization"].split()
    assert scheme == "Bearer"
    known = Keys(None, {"PARLE_API_KEYS": f"ana:{SECRET}"})
    assert Tokens(known, tokens.secret_in(environment)).find(token) == OWN
    assert Tokens(known, tokens.secret_in({})).find(token) is None


def test_the_watchdog_and_the_warm_up_turn_need_no_key(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(f"{keys.make('ana')[1].line}\n")
    monkeypatch.delenv(tokens.SECRET_VARIABLE, raising=False)
    with site_of(keys_file=file) as site, pytest.raises(Unknown):
        activity_of(site.url)
    monkeypatch.setenv(tokens.SECRET_VARIABLE, "of this test")
    with site_of(keys_file=file) as site:
        assert activity_of(site.url).turns == 0
        assert child_process.warm_up(site.url) > 0


# --- the routes --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A file of keys, and the keys of two who are in it."""
    file = tmp_path_factory.mktemp("school") / "keys.txt"
    (ana, hers), (rui, his) = keys.make("ana"), keys.make("rui")
    file.write_text(f"{hers.line}\n{his.line}\n")
    return file, ana, rui


@pytest.fixture(scope="module")
def site(school: tuple[Path, str, str]) -> Iterator[Site]:
    with site_of(keys_file=school[0], cors_origins=["https://app.example"]) as site:
        yield site


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def join(site: Site, *protocols: str, **headers: str) -> ClientConnection:
    offered = [Subprotocol(name) for name in protocols] or None
    address = f"ws://127.0.0.1:{site.port}/ws/stream"
    return connect(address, subprotocols=offered, additional_headers=headers, max_size=None)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "no_key"),
        ({"authorization": "Basic YW5hOmFuYQ=="}, "no_key"),
        ({"authorization": "Bearer"}, "no_key"),
        (bearer("parle_wrong"), "wrong_key"),
        ({"authorization": "Bearer \xe9"}, "wrong_key"),
        ({"cookie": "token=x", "x-api-key": "x"}, "no_key"),
    ],
)
def test_without_a_key_only_health_and_the_page_answer(site: Site, headers: dict[str, str], code: str) -> None:
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    made = site.house.made()
    for method, path in [
        *(("GET", "/api/info"), ("GET", "/api/none"), ("POST", "/api/token"), ("POST", "/api/stream-audio")),
        *(("GET", "//"), ("GET", "/healthz/"), ("GET", "/web"), ("GET", "/ws/stream")),
    ]:
        answer = httpx.request(
            method, f"{site.url}{path}", headers=sent, content=RECORDING if method == "POST" else None
        )
        assert refusal(answer) == (401, code), path
        assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("/healthz", "/readyz", "/", "/web/app.js"):
        assert httpx.get(f"{site.url}{path}", headers=sent).status_code == 200
    assert site.house.made() == made


def test_a_websocket_needs_a_key_too(site: Site) -> None:
    for refused_with in (
        lambda: join(site),
        lambda: join(site, authorization="Bearer parle_wrong"),
        lambda: join(site, "parle", "parle.token.wrong"),
        lambda: join(site, "parle"),
    ):
        with pytest.raises(InvalidStatus) as refused:
            refused_with()
        assert refused.value.response.status_code == 403


def test_whoever_has_a_key_may_talk_over_every_route(site: Site, school: tuple[Path, str, str]) -> None:
    _, ana, _ = school
    info = httpx.get(f"{site.url}/api/info", headers=bearer(ana))
    assert info.status_code == 200
    assert ana not in info.text
    assert hashed(ana) not in info.text
    assert "keys" not in info.text
    assert ask_as(site, ana)["response"]
    with join(site, **bearer(ana)) as socket:
        assert Talk(socket).ask(RECORDING).last.name == "complete"


def test_the_refused_settings_are_told_to_whoever_has_a_key(site: Site, school: tuple[Path, str, str]) -> None:
    assert refused_settings(site.url, school[1]) == {}
    for key in (None, "parle_wrong"):
        with pytest.raises(StackError, match=r"--key, or PARLE_API_KEY"):
            refused_settings(site.url, key)


def ask_as(site: Site, secret: str, **fields: str) -> dict[str, str]:
    """What the tutor understood and answered: the fields of `transcript` and `complete`."""
    with httpx.stream(
        "POST",
        f"{site.url}/api/stream-audio",
        files={"audio": ("a", RECORDING)},
        data=fields,
        headers=bearer(secret),
        timeout=PATIENCE_S,
    ) as response:
        assert response.status_code == 200
        events = {event.name: event.data for event in parse(response.iter_lines())}
    return {**events["transcript"], **events["complete"], "heard": events["level"]["utterances"]}


def test_a_browser_gets_a_token_for_the_key_and_a_new_one_for_the_token(
    site: Site, school: tuple[Path, str, str]
) -> None:
    _, ana, _ = school
    first = httpx.post(f"{site.url}/api/token", headers={**bearer(ana), "origin": site.url})
    assert first.headers["cache-control"] == "no-store"
    again = httpx.post(f"{site.url}/api/token", headers=bearer(first.json()["token"]))
    token = again.json()["token"]
    assert again.json()["expires_in_s"] == TOKEN_S
    assert httpx.get(f"{site.url}/api/info", headers=bearer(token)).status_code == 200
    with join(site, "parle", f"parle.token.{token}") as socket:
        assert socket.subprotocol == "parle"
        assert Talk(socket).ask(RECORDING).last.name == "complete"


def test_an_app_of_another_origin_reads_why_it_was_refused(site: Site) -> None:
    answer = httpx.get(f"{site.url}/api/info", headers={"origin": "https://app.example"})
    assert refusal(answer) == (401, "no_key")
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    allowed = httpx.options(f"{site.url}/api/token", headers={"origin": "https://app.example", **asked})
    assert (allowed.status_code, allowed.headers["access-control-allow-headers"]) == (200, "authorization")


def test_a_conversation_belongs_to_the_key_that_began_it(site: Site, school: tuple[Path, str, str]) -> None:
    _, ana, rui = school
    heard = [ask_as(site, who, session_id="aula-1")["heard"] for who in (ana, ana, rui, ana)]
    assert heard == [1, 2, 1, 3]
    with join(site, **bearer(rui)) as socket:
        talk = Talk(socket)
        talk.tell({"type": "settings", "session_id": "aula-1"})
        assert talk.next().data["session_id"] == "aula-1"
        turn = talk.ask(RECORDING)
    assert turn.one("level")["utterances"] == 2
    assert turn.one("transcript")["session_id"] == "aula-1"


def test_a_withdrawn_key_ends_its_connections_and_tokens(file: Path) -> None:
    secret, made = keys.make("ana")
    file.write_text(f"{made.line}\n")
    with site_of(keys_file=file) as site, join(site, **bearer(secret)) as socket:
        token = httpx.post(f"{site.url}/api/token", headers=bearer(secret)).json()["token"]
        talk = Talk(socket)
        assert talk.ask(RECORDING).last.name == "complete"
        file.write_text("# nobody\n")
        info = f"{site.url}/api/info"
        wait_for(lambda: httpx.get(info, headers=bearer(secret)).status_code == 401, 30, "the end of the key")
        assert httpx.get(info, headers=bearer(token)).status_code == 401
        talk.say(RECORDING)
        with pytest.raises(ConnectionClosed) as closed:
            talk.next()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4401, "wrong_key")
        wait_for(lambda: site.house.running() == 0, 30, "the end of all work")


def test_no_key_is_in_a_log_or_an_answer(
    site: Site, school: tuple[Path, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    _, ana, _ = school
    caplog.set_level("DEBUG")
    ask_as(site, ana)
    wrong = "parle_this-one-is-wrong"
    answers = [
        httpx.post(f"{site.url}/api/stream-audio", headers=bearer(ana), content=b"junk"),
        httpx.get(f"{site.url}/api/none", headers=bearer(ana)),
        httpx.get(f"{site.url}/api/info", headers=bearer(wrong)),
    ]
    told = json.dumps([[answer.text, *answer.headers.values()] for answer in answers]) + caplog.text
    for secret in (ana, wrong, hashed(ana)):
        assert secret not in told
    assert not any(ana in value for value in os.environ.values())
