"""deploy/docker: linted, checked against its own promises, and its compose files read by a parser of the specification.

The recipe itself is carried out by deploy/docker/rehearse.py, which needs root and minutes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose
from support.paths import ROOT

from serve_app.config.lint import read

FOLDER = ROOT / "deploy/docker"
IGNORED = (FOLDER / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
COMPOSE = ("compose.yaml", "compose.gpu.yaml")


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


rehearse = _load(FOLDER / "rehearse.py")
STEPS: list[tuple[str, str]] = rehearse.instructions((FOLDER / "Dockerfile").read_text("utf-8"))


def chain(target: str) -> list[tuple[str, str]]:
    """The instructions that the image of `target` is made by, oldest first, not those of stages it only copies from."""
    stages = rehearse.needed(STEPS, target)
    base, own = stages[target]
    return [*(chain(base) if base in stages else []), *own]


def last(target: str, instruction: str) -> str:
    return [value for name, value in chain(target) if name == instruction][-1]


def substituted(text: str) -> str:
    """As compose does it with nothing set in the environment; every variable has a default."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def compose(name: str) -> Any:
    return yaml.safe_load(substituted((FOLDER / name).read_text("utf-8")))


def test_hadolint_finds_nothing() -> None:
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert linter is not None
    command = [linter, "--config", ROOT / ".hadolint.yaml", FOLDER / "Dockerfile"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_an_image_runs_as_nobody_in_particular_and_can_be_watched_and_stopped(target: str) -> None:
    user = last(target, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "a number, which Kubernetes can tell from root"
    assert [name for name, _ in chain(target)].index("USER") > max(
        index for index, (name, _) in enumerate(chain(target)) if name in ("RUN", "COPY")
    )
    assert last(target, "STOPSIGNAL") == "SIGINT"
    assert "/readyz" in last(target, "HEALTHCHECK")
    assert json.loads(last(target, "ENTRYPOINT")) == ["tini", "--", "parle"]


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_an_image_serves_a_stack_that_it_has(target: str) -> None:
    command, stack = json.loads(last(target, "CMD"))
    assert command == "serve"
    assert target == "gpu" or read(ROOT / stack).args.gpus() == 0
    assert ("COPY", "--chown=parle:parle configs configs") in chain(target)


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_what_builds_is_not_in_the_image(target: str) -> None:
    assert not any("pip install" in value for _, value in chain(target))
    installs = [
        value
        for _, steps in rehearse.needed(STEPS, target).values()
        for name, value in steps
        if name == "RUN" and "pip install" in value
    ]
    assert [f"PIP_CONSTRAINT=constraints/{target}.txt" in install for install in installs] == [True]


def test_the_python_of_the_images_is_the_python_of_the_pins() -> None:
    [version] = [value for name, value in STEPS if name == "ARG"]
    assert version.startswith("PYTHON=3.11-slim-")
    assert "Python 3.11" in (ROOT / "constraints/gpu.txt").read_text("utf-8").splitlines()[0]


def test_the_cpu_image_is_built_where_no_target_is_named() -> None:
    assert [value.split(" AS ")[1] for name, value in STEPS if name == "FROM"][-1] == "cpu"


def test_one_target_does_not_build_the_other() -> None:
    assert set(rehearse.needed(STEPS, "cpu")) == {"base", "build-cpu", "runtime", "cpu"}
    assert set(rehearse.needed(STEPS, "gpu")) == {"base", "build-gpu", "runtime", "gpu"}


def test_everything_that_is_copied_exists_and_is_sent_to_the_builder() -> None:
    assert IGNORED[1] == "*"
    sent = [line.removeprefix("!") for line in IGNORED if line.startswith("!")]
    for name, value in STEPS:
        if name != "COPY" or "--from=" in value:
            continue
        *sources, _ = (word for word in value.split() if not word.startswith("--"))
        for source in sources:
            assert (ROOT / source).exists(), source
            assert any(line == source or line.startswith(f"{source}/") for line in sent), source


@pytest.mark.parametrize("name", COMPOSE)
def test_a_compose_file_is_what_the_specification_allows(name: str) -> None:
    PyCompose.from_yaml(substituted((FOLDER / name).read_text("utf-8"))).validate()


def test_the_compose_parser_finds_what_is_wrong() -> None:
    text = substituted((FOLDER / "compose.yaml").read_text("utf-8"))
    for right, wrong in (("shm_size", "shm_sizes"), ("service_healthy", "healthy"), ("unless-stopped", "never")):
        with pytest.raises(ValueError, match=wrong):
            PyCompose.from_yaml(text.replace(right, wrong)).validate()


def test_the_gpu_file_changes_services_that_there_are_and_asks_for_one_card() -> None:
    base, gpu = (compose(name) for name in COMPOSE)
    assert set(gpu["services"]) <= set(base["services"])
    [device] = gpu["services"]["parle"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", 1, ["gpu"])
    assert gpu["services"]["parle"]["build"]["target"] == "gpu"


def test_compose_gives_ray_shared_memory_and_the_turns_time_to_end() -> None:
    parle = compose("compose.yaml")["services"]["parle"]
    assert parle["shm_size"] == "1gb"
    assert parle["stop_grace_period"] == "60s"
    assert (FOLDER / parle["build"]["context"] / parle["build"]["dockerfile"]).resolve() == FOLDER / "Dockerfile"


def test_only_this_machine_reaches_the_services_by_default_and_no_password_is_written_down() -> None:
    services = compose("compose.yaml")["services"]
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert not any("PASSWORD" in name for name in services["grafana"]["environment"])


def test_prometheus_finds_parle_where_its_settings_say() -> None:
    services = compose("compose.yaml")["services"]
    assert services["prometheus"]["network_mode"] == "service:parle"
    settings = ROOT / "deploy/prometheus/prometheus.yml"
    [job] = yaml.safe_load(settings.read_text("utf-8"))["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"localhost:{services['parle']['environment']['METRICS_PORT']}"]}]


def test_every_file_that_is_mounted_is_there() -> None:
    mounted = [
        FOLDER / volume.split(":")[0]
        for service in compose("compose.yaml")["services"].values()
        for volume in service["volumes"]
        if volume.startswith(".")
    ]
    assert len(mounted) == 4
    assert [path for path in mounted if not path.is_file()] == []
