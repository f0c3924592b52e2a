"""`parle cloud` from outside: what it sends, prints and asks, against local servers of the published APIs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paths import ROOT
from support.providers import (
    INSTANCE_KEY,
    SSH_KEY,
    TOKEN,
    Answer,
    PublishedApi,
    TensorDockApi,
    VastApi,
    ask,
    open_to_all,
)

from serve_app.clouds.machines import URL

UUID = "550e8400-e29b-41d4-a716-000000000000"
OURS = (
    *("TENSORDOCK_API_TOKEN", "TENSORDOCK_INSTANCE_ID", "VAST_API_KEY", "VAST_INSTANCE_ID", "CONTAINER_ID"),
    *("CONTAINER_API_KEY", "PARLE_CLOUD", "PARLE_STOP_AFTER", URL),
)


@pytest.fixture
def tensordock() -> Iterator[PublishedApi]:
    with open_to_all(TensorDockApi()) as api:
        yield api


@pytest.fixture
def vast() -> Iterator[PublishedApi]:
    with open_to_all(VastApi()) as api:
        yield api


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "id_ed25519.pub"
    file.write_text(f"{SSH_KEY}\n")
    return file


def parle(*args: str | Path, answer: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in OURS} | more
    return subprocess.run(
        [sys.executable, "-c", "from serve_app.cli.main import main; main()", *args],
        env=environment,
        cwd=ROOT,
        input=answer,
        capture_output=True,
        text=True,
        timeout=60,
    )


def failed(ended: subprocess.CompletedProcess[str], code: int = 1) -> str:
    """The one line of a command that failed."""
    assert ended.returncode == code, ended
    [line] = ended.stderr.splitlines()
    assert line.startswith("parle: ")
    return line


def done(ended: subprocess.CompletedProcess[str]) -> str:
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return ended.stdout


def test_from_renting_to_stopping_on_tensordock(tensordock: PublishedApi, key: Path) -> None:
    environment = {"TENSORDOCK_API_TOKEN": TOKEN, URL: tensordock.url}
    command = ("cloud", "create", "--provider", "tensordock", "--gpu", "rtx 4090", "--ssh-key", key)
    told = done(parle(*command, answer="y\n", **environment))
    assert told.startswith("geforcertx4090-pcie-24gb in Austin, United States: $0.593 an hour\nRent it? [y/N]: ")
    assert f"  export TENSORDOCK_INSTANCE_ID={UUID}\n" in told
    environment["TENSORDOCK_INSTANCE_ID"] = UUID
    status = ("cloud", "status", "--provider", "tensordock")
    assert done(parle(*status, **environment)).splitlines() == [
        f"{UUID}  running  $0.610 an hour",
        "  log in     ssh -p 22 user@203.0.113.7",
        "  tunnel     ssh -p 22 user@203.0.113.7 -N -L 8000:127.0.0.1:8000",
    ]
    assert "TensorDock accepts the stop of" in done(parle("cloud", "stop", "--provider", "tensordock", **environment))
    assert done(parle(*status, **environment)) == f"{UUID}  stopped  $0.610 an hour\n"
    assert "TensorDock accepts the start of" in done(parle("cloud", "start", "--provider", "tensordock", **environment))
    assert tensordock.instances[UUID]["status"] == "running"


def test_renting_on_vast_shows_no_key(vast: PublishedApi) -> None:
    environment = {"VAST_API_KEY": TOKEN, URL: vast.url}
    command = ("cloud", "create", "--provider", "vast", "--gpu", "RTX 4090", "--yes")
    told = done(parle(*command, **environment))
    assert told.startswith("RTX 4090 in Porto, PT: $0.410 an hour\nrented instance 20000000;")
    assert INSTANCE_KEY not in told
    assert TOKEN not in told


def test_what_somebody_else_has_taken_is_followed_by_the_next_offer_and_another_question(vast: PublishedApi) -> None:
    assert isinstance(vast, VastApi)
    vast.asks, vast.taken = [ask(1, 0.40), ask(2, 0.50)], {1}
    command = ("cloud", "create", "--provider", "vast", "--gpu", "RTX 4090")
    environment = {"VAST_API_KEY": TOKEN, URL: vast.url}
    assert failed(parle(*command, answer="y\nn\n", **environment)) == "parle: nothing was rented."
    assert vast.said() == ["POST /bundles/", "PUT /asks/1/"]
    told = done(parle(*command, answer="y\ny\n", **environment))
    assert told.index("$0.400") < told.index("somebody else has just taken it") < told.index("$0.500")
    assert "rented instance 20000000" in told
    vast.taken = {1, 2}
    ended = parle(*command, "--yes", **environment)
    assert failed(ended) == "parle: nothing was rented: somebody else has taken every offer; try again."


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_without_a_yes_nothing_is_rented(vast: PublishedApi, answer: str) -> None:
    command = ("cloud", "create", "--provider", "vast", "--gpu", "RTX 4090")
    ended = parle(*command, answer=answer, VAST_API_KEY=TOKEN, **{URL: vast.url})
    assert failed(ended) == "parle: nothing was rented."
    assert vast.said() == ["POST /bundles/"]


@pytest.mark.parametrize("provider", ["tensordock", "vast"])
@pytest.mark.parametrize("action", ["start", "stop", "status"])
def test_a_dry_run_sends_nothing_and_needs_no_token(provider: str, action: str, request: pytest.FixtureRequest) -> None:
    api: PublishedApi = request.getfixturevalue(provider)
    told = done(parle("cloud", action, "--provider", provider, "--instance", "77", "--dry-run", **{URL: api.url}))
    assert told.startswith("would send ")
    assert "77" in told
    assert api.requests == []


def test_a_dry_run_of_renting_shows_what_would_be_sent(tensordock: PublishedApi, key: Path) -> None:
    command = ("cloud", "create", "--provider", "tensordock", "--ssh-key", key, "--dry-run")
    told = done(parle(*command, TENSORDOCK_API_TOKEN=TOKEN, **{URL: tensordock.url}))
    first, second, *body = told.splitlines()
    assert first == "would send GET https://dashboard.tensordock.com/api/v2/locations"
    assert second == "would send POST https://dashboard.tensordock.com/api/v2/instances"
    attributes = json.loads("\n".join(body))["data"]["attributes"]
    assert attributes["resources"]["gpus"] == {"<RTX 3090>": {"count": 1}}
    assert TOKEN not in told
    assert tensordock.requests == []


def test_a_refusal_is_one_line(vast: PublishedApi) -> None:
    vast.trouble = [Answer(403, {"success": False, "error": "forbidden", "msg": "Insufficient credit."})]
    command = ("cloud", "create", "--provider", "vast", "--yes")
    line = failed(parle(*command, VAST_API_KEY=TOKEN, **{URL: vast.url}))
    assert line == ("parle: Vast.ai refuses POST /bundles/ (HTTP 403: Insufficient credit.); is VAST_API_KEY right?")


def test_nothing_that_fits_is_one_line(vast: PublishedApi) -> None:
    assert isinstance(vast, VastApi)
    vast.asks = [ask(1, 2.0)]
    command = ("cloud", "create", "--provider", "vast", "--gpu", "RTX 4090", "--max-price", "0.5", "--yes")
    line = failed(parle(*command, VAST_API_KEY=TOKEN, **{URL: vast.url}))
    assert line == "parle: Vast.ai has no RTX 4090 with 100 GB of disk for at most $0.5 an hour now."


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (["cloud", "stop"], 2, "Missing option '--provider'"),
        (["cloud", "stop", "--provider", "aws"], 2, "'aws' is not one of 'tensordock', 'vast'"),
        (["cloud", "stop", "--provider", "vast"], 1, "which instance? Set VAST_INSTANCE_ID, or give --instance ID."),
        (["cloud", "stop", "--provider", "vast", "--instance", "7"], 1, "VAST_API_KEY is not set"),
        (["cloud", "create", "--provider", "vast", "--gpu", "H100"], 2, "'H100' is not one of"),
        (
            ["cloud", "create", "--provider", "tensordock", "--ssh-key", "none.pub"],
            1,
            "cannot read the SSH key",
        ),
        (
            ["serve", "configs/cpu_stack.yaml", "--port", "0", "--stop-after", "30"],
            1,
            "which provider's machine is this?",
        ),
        (["serve", "configs/cpu_stack.yaml", "--port", "0", "--stop-after", "soon"], 2, "'soon' is not a valid float"),
        (["serve", "configs/cpu_stack.yaml", "--cloud", "vast"], 2, "--cloud needs --stop-after"),
    ],
)
def test_what_is_missing_is_said(args: list[str], code: int, sentence: str) -> None:
    assert sentence in failed(parle(*args), code)


@pytest.mark.parametrize("command", ["create", "start", "stop", "status"])
def test_each_command_has_help_with_an_example(command: str) -> None:
    told = done(parle("cloud", command, "--help"))
    assert f" cloud {command} [OPTIONS]" in told
    assert f"  parle cloud {command} " in told
