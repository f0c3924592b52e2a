"""deploy/modal: the real `modal` package deploys the app to a local server that speaks Modal's API."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from modal_proto import api_pb2
from support.fake_modal import FakeModal, fake_modal
from support.paths import ROOT

APP = ROOT / "deploy/modal/parle_modal.py"
STACK: Any = yaml.safe_load((ROOT / "configs/modal_stack.yaml").read_text("utf-8"))
TOKEN = {"MODAL_TOKEN_ID": "ak-of-a-test", "MODAL_TOKEN_SECRET": "as-of-a-test"}


def environment(**more: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MODAL_", "PARLE_", "HF_")) and "proxy" not in name.lower()
    }
    return {**kept, "MODAL_CONFIG_PATH": "/no/such/file", **more}


def deploy(fake: FakeModal, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modal", "deploy", "deploy/modal/parle_modal.py"],
        cwd=ROOT,
        env=environment(MODAL_SERVER_URL=fake.url, **more),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def deployed() -> Generator[FakeModal]:
    """One deployment with the defaults."""
    with fake_modal() as fake:
        ended = deploy(fake, **TOKEN)
        assert ended.returncode == 0, ended.stderr
        assert "App deployed" in ended.stdout
        yield fake


@pytest.fixture(scope="module")
def function(deployed: FakeModal) -> api_pb2.Function:
    [request] = deployed.all("FunctionCreate")
    return request.function


def runs(lines: Sequence[str]) -> list[str]:
    return [line.removeprefix("RUN ") for line in lines if line.startswith("RUN ")]


def test_it_is_published_under_its_name(deployed: FakeModal) -> None:
    [published] = deployed.all("AppPublish")
    assert published.name == "parle"
    assert published.app_state == api_pb2.APP_STATE_DEPLOYED


def test_the_image_is_built_from_the_projects_own_pins(deployed: FakeModal, function: api_pb2.Function) -> None:
    recipe = deployed.recipe(function.image_id)
    assert re.match(r"FROM python:3\.11(\.\d+)?-slim-", recipe[0])
    install, project, pull = runs(recipe)[-3:]
    assert install.endswith(" -c /parle/constraints/gpu.txt")
    for requirement in ("ray[serve]==2.60.0", "vllm==0.32.0", "faster-qwen3-tts==0.5.4"):
        assert requirement in install
    assert project == "python -m pip install --no-deps /parle"
    assert pull == "parle pull /parle/configs/modal_stack.yaml"


def test_what_the_image_copies_is_the_projects_code_pins_and_stacks(deployed: FakeModal) -> None:
    sent = {file.filename for request in deployed.all("MountGetOrCreate") for file in request.files}
    assert {
        "/parle/constraints/gpu.txt",
        "/parle/pyproject.toml",
        "/parle/README.md",
        "/parle/LICENSE",
        "/parle/configs/modal_stack.yaml",
        "/parle/serve_app/ingress.py",
        "/parle/serve_app/data/greeting.ogg",
        "/parle/serve_app/data/voices/pf_dora.bin",
    } <= sent
    assert not any("__pycache__" in name or ".venv" in name or "tests/" in name for name in sent)
    code = {f"/parle/{path.relative_to(ROOT)}" for path in (ROOT / "serve_app").rglob("*.py")}
    assert code <= sent


def test_the_weights_come_into_the_volume_while_the_image_is_built(
    deployed: FakeModal, function: api_pb2.Function
) -> None:
    volume = "vo-parle-weights"
    pull = deployed.steps(function.image_id)[-1]
    assert [(mount.volume_id, mount.mount_path) for mount in pull.volume_mounts] == [(volume, "/weights")]
    assert [(mount.volume_id, mount.mount_path) for mount in function.volume_mounts] == [(volume, "/weights")]
    assert pull.gpu_config.count == 0
    variables = [line for line in deployed.recipe(function.image_id) if line.startswith("ENV ")]
    assert "ENV HF_HOME=/weights/huggingface" in variables
    assert "ENV PARLE_CACHE=/weights/parle" in variables


def test_it_serves_behind_modals_web_server_and_scales_to_zero(function: api_pb2.Function) -> None:
    web = function.method_definitions["web"].webhook_config
    assert web.type == api_pb2.WEBHOOK_TYPE_WEB_SERVER
    assert web.web_server_port == 8000
    assert not web.requires_proxy_auth
    assert function.autoscaler_settings.min_containers == 0
    assert function.autoscaler_settings.scaledown_window == 300
    assert function.startup_timeout_secs == 1200


def test_requests_come_side_by_side_and_parle_itself_refuses_those_over_its_limit(function: api_pb2.Function) -> None:
    limits = STACK["applications"][0]["args"].get("limits", {})
    assert function.target_concurrent_inputs == limits.get("max_turns", 8)
    assert function.max_concurrent_inputs > function.target_concurrent_inputs
    assert function.timeout_secs > limits.get("turn_s", 120)


@pytest.mark.parametrize(("card", "named"), [("L4", "L4"), ("A10G", "A10"), ("A100", "A100"), ("H100", "H100")])
def test_the_card_is_chosen_in_the_environment(card: str, named: str) -> None:
    with fake_modal() as fake:
        assert deploy(fake, **TOKEN, PARLE_GPU=card).returncode == 0
        [request] = fake.all("FunctionCreate")
    config = request.function.resources.gpu_config
    assert (config.gpu_type, config.count) == (named, 1)


def test_every_setting_of_the_deploying_shell() -> None:
    with fake_modal() as fake:
        settings = {
            "PARLE_IDLE_MINUTES": "2",
            "PARLE_CONTAINERS": "3",
            "PARLE_PRIVATE": "1",
            "HF_TOKEN": "hf_of_a_test",
        }
        ended = deploy(fake, **TOKEN, **settings)
        assert ended.returncode == 0, ended.stderr
        [request] = fake.all("FunctionCreate")
        [secret] = fake.all("SecretGetOrCreate")
    assert request.function.autoscaler_settings.scaledown_window == 120
    assert request.function.autoscaler_settings.max_containers == 3
    assert request.function.method_definitions["web"].webhook_config.requires_proxy_auth
    assert dict(secret.env_dict) == {"HF_TOKEN": "hf_of_a_test"}
    for value in ("hf_of_a_test", *TOKEN.values()):
        assert value not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("PARLE_GPU", "T4", "PARLE_GPU must be one of L4, A10G, A100, H100, not 'T4'."),
        ("PARLE_IDLE_MINUTES", "soon", "PARLE_IDLE_MINUTES must be a whole number, not 'soon'."),
        ("PARLE_PRIVATE", "yes", "PARLE_PRIVATE must be one of 0, 1, not 'yes'."),
    ],
)
def test_a_setting_that_means_nothing_is_refused_before_anything_is_sent(
    setting: str, value: str, sentence: str
) -> None:
    with fake_modal() as fake:
        ended = deploy(fake, **TOKEN, **{setting: value})
    assert ended.returncode != 0
    assert sentence in ended.stderr
    assert fake.asked == []


def test_without_a_token_nothing_is_deployed() -> None:
    with fake_modal() as fake:
        ended = deploy(fake)
    assert ended.returncode != 0
    assert "token" in (ended.stdout + ended.stderr).lower()
    assert fake.all("AppCreate") == []


def test_the_container_can_import_the_file_from_where_modal_puts_it(tmp_path: Path) -> None:
    """Modal lays the file at /root; beside it there is nothing of the repository."""
    (tmp_path / "parle_modal.py").write_text(APP.read_text("utf-8"), "utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", "import parle_modal; print(parle_modal.SOURCE / parle_modal.STACK)"],
        cwd=tmp_path,
        env=environment(MODAL_IS_REMOTE="1"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stdout.strip() == "/parle/configs/modal_stack.yaml", ended.stderr
