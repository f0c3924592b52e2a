"""deploy/modal: the real `modal` package deploys the app to a local server that speaks Modal's API."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from modal.client import Client
from modal_proto import api_pb2
from support.fake_modal import FakeModal, fake_modal
from support.paths import ROOT

from serve_app.config.lint import read
from serve_app.gpu.cards import named
from serve_app.launch import preflight

APP = ROOT / "deploy/modal/parle_modal.py"
STACK: Any = yaml.safe_load((ROOT / "configs/modal_stack.yaml").read_text("utf-8"))
TOKEN = {"MODAL_TOKEN_ID": "ak-of-a-test", "MODAL_TOKEN_SECRET": "as-of-a-test"}
VOLUME = "vo-parle-weights"


def is_foreign(name: str) -> bool:
    """Settings of this machine that a deployment would take up."""
    return name.startswith(("MODAL_", "PARLE_", "HF_")) or "proxy" in name.lower()


def load(monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str] | None = None, file: Path = APP) -> ModuleType:
    """The app's file, imported with these settings of the deploying shell."""
    for name in filter(is_foreign, list(os.environ)):
        monkeypatch.delenv(name)
    for name, value in (settings or {}).items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("parle_modal", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "parle_modal", module)
    spec.loader.exec_module(module)
    return module


def deploy_here(fake: FakeModal, monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str]) -> api_pb2.Function:
    """Deploy from this process; what Modal is asked to run."""
    app = load(monkeypatch, settings).app
    with Client(fake.url, api_pb2.CLIENT_TYPE_CLIENT, (TOKEN["MODAL_TOKEN_ID"], TOKEN["MODAL_TOKEN_SECRET"])) as client:
        app.deploy(client=client)
    [request] = fake.all("FunctionCreate")
    return request.function


@pytest.fixture(scope="module")
def deployed() -> Generator[FakeModal]:
    """One deployment by Modal's command line, with the defaults."""
    kept = {name: value for name, value in os.environ.items() if not is_foreign(name)}
    with fake_modal() as fake:
        ended = subprocess.run(
            [sys.executable, "-m", "modal", "deploy", "deploy/modal/parle_modal.py"],
            cwd=ROOT,
            env={**kept, "MODAL_CONFIG_PATH": "/no/such/file", "MODAL_SERVER_URL": fake.url, **TOKEN},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr
        assert "App deployed" in ended.stdout
        for value in TOKEN.values():
            assert value not in ended.stdout + ended.stderr
        yield fake


@pytest.fixture(scope="module")
def function(deployed: FakeModal) -> api_pb2.Function:
    [request] = deployed.all("FunctionCreate")
    return request.function


def runs(lines: Sequence[str]) -> list[str]:
    return [line.removeprefix("RUN ") for line in lines if line.startswith("RUN ")]


def test_the_command_line_publishes_the_app(deployed: FakeModal) -> None:
    [published] = deployed.all("AppPublish")
    assert published.app_state == api_pb2.APP_STATE_DEPLOYED


def test_the_image_is_built_from_the_projects_own_pins(deployed: FakeModal, function: api_pb2.Function) -> None:
    recipe = deployed.recipe(function.image_id)
    assert re.match(r"FROM python:3\.11(\.\d+)?-slim-", recipe[0]), "the Python of the pins"
    install, project, pull = runs(recipe)[-3:]
    assert install.endswith(" -c /parle/constraints/gpu.txt")
    for requirement in ("ray[serve]==2.60.0", "vllm==0.32.0", "faster-qwen3-tts==0.5.4"):
        assert requirement in install
    assert project.endswith(" --no-deps /parle -r /parle/constraints/no-deps.txt")
    assert pull.startswith("parle pull /parle/configs/")


def test_what_the_image_copies_is_the_projects_code_pins_and_stacks(deployed: FakeModal) -> None:
    sent = {file.filename for request in deployed.all("MountGetOrCreate") for file in request.files}
    assert {
        "/parle/constraints/gpu.txt",
        "/parle/constraints/no-deps.txt",
        "/parle/pyproject.toml",
        "/parle/README.md",
        "/parle/LICENSE",
        "/parle/configs/modal_stack.yaml",
        "/parle/serve_app/data/greeting.ogg",
        "/parle/serve_app/data/voices/pf_dora.bin",
    } <= sent
    assert not any("__pycache__" in name or ".venv" in name or "tests/" in name for name in sent)
    code = {f"/parle/{path.relative_to(ROOT)}" for path in (ROOT / "serve_app").rglob("*.py")}
    assert code <= sent


def test_the_weights_come_into_the_volume_while_the_image_is_built(
    deployed: FakeModal, function: api_pb2.Function
) -> None:
    pull = deployed.steps(function.image_id)[-1]
    [mounted] = {(mount.volume_id, mount.mount_path) for mount in (*pull.volume_mounts, *function.volume_mounts)}
    assert mounted[0] == VOLUME
    assert pull.gpu_config.count == 0
    recipe = deployed.recipe(function.image_id)
    for cache in ("HF_HOME", "PARLE_CACHE"):
        assert any(line.startswith(f"ENV {cache}={mounted[1]}/") for line in recipe), cache


def test_it_serves_behind_modals_web_server_and_scales_to_zero(function: api_pb2.Function) -> None:
    web = function.method_definitions["web"].webhook_config
    assert web.type == api_pb2.WEBHOOK_TYPE_WEB_SERVER
    assert not web.requires_proxy_auth
    assert function.autoscaler_settings.min_containers == 0
    assert 0 < function.autoscaler_settings.scaledown_window < function.startup_timeout_secs


def test_requests_come_side_by_side_and_parle_itself_refuses_those_over_its_limit(function: api_pb2.Function) -> None:
    limits = STACK["applications"][0]["args"].get("limits", {})
    assert function.target_concurrent_inputs == limits.get("max_turns", 8)
    assert function.max_concurrent_inputs > function.target_concurrent_inputs
    assert function.timeout_secs > limits.get("turn_s", 120)


def test_the_stack_fits_every_card_that_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    args = read(ROOT / "configs/modal_stack.yaml").args
    for card in load(monkeypatch).CARDS:
        preflight.check_cards(args, [named(card)])


def test_every_setting_of_the_deploying_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {
        "PARLE_GPU": "A10G",
        "PARLE_IDLE_MINUTES": "2",
        "PARLE_CONTAINERS": "3",
        "PARLE_PRIVATE": "1",
        "HF_TOKEN": "hf_of_a_test",
        "PARLE_API_KEYS": "school:a-key-of-this-test-only",
    }
    with fake_modal() as fake:
        function = deploy_here(fake, monkeypatch, settings)
        [secret] = fake.all("SecretGetOrCreate")
    card = function.resources.gpu_config
    assert (card.gpu_type, card.count) == ("A10", 1), "Modal's own name of the card"
    assert function.autoscaler_settings.scaledown_window == 120
    assert function.autoscaler_settings.max_containers == 3
    assert function.method_definitions["web"].webhook_config.requires_proxy_auth
    assert dict(secret.env_dict) == {name: settings[name] for name in ("HF_TOKEN", "PARLE_API_KEYS")}


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("PARLE_GPU", "T4", "PARLE_GPU must be one of L4, A10G, A100, H100, not 'T4'."),
        ("PARLE_IDLE_MINUTES", "soon", "PARLE_IDLE_MINUTES must be a whole number, not 'soon'."),
        ("PARLE_PRIVATE", "yes", "PARLE_PRIVATE must be one of 0, 1, not 'yes'."),
    ],
)
def test_a_setting_that_means_nothing_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, sentence: str
) -> None:
    with pytest.raises(SystemExit, match=re.escape(sentence)):
        load(monkeypatch, {setting: value})


def test_the_container_can_import_the_file_from_where_modal_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modal lays the file at /root; beside it there is nothing of the repository."""
    copy = tmp_path / "parle_modal.py"
    copy.write_text(APP.read_text("utf-8"), "utf-8")
    module = load(monkeypatch, {"MODAL_IS_REMOTE": "1"}, copy)
    assert module.root == module.SOURCE
