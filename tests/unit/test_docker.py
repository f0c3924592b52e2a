"""deploy/docker: linted, held against the files that it depends on, and its compose files read by a parser of the
specification.

deploy/docker/rehearse.sh builds the images and starts one, which takes minutes and root.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from compose_spec import PyCompose
from dockerfile_parse import DockerfileParser
from support.paths import ROOT

from serve_app.config.lint import read
from serve_app.launch import child_process

FOLDER = ROOT / "deploy/docker"
IGNORED = (FOLDER / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
COMPOSE = ("compose.yaml", "compose.gpu.yaml")


def instructions() -> list[tuple[str, str]]:
    """Every instruction of the Dockerfile with its arguments, continued lines joined."""
    # The parser's annotation asks for text, its code for bytes.
    file = cast(Any, io.BytesIO((FOLDER / "Dockerfile").read_bytes()))
    steps = DockerfileParser(fileobj=file).structure
    return [(step["instruction"], step["value"]) for step in steps if step["instruction"] != "COMMENT"]


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, value in instructions():
        if name == "FROM":
            found[value.split(" AS ")[1]] = []
        elif found:
            next(reversed(found.values())).append((name, value))
    return found


def last(name: str) -> str:
    return [value for instruction, value in instructions() if instruction == name][-1]


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


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_asks_whether_every_stage_can_serve(status: int, code: int) -> None:
    """The command of the image, against a server whose /readyz answers so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    command = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ended = subprocess.run(command, env={**os.environ, "PORT": str(server.server_port)}, timeout=20, check=False)
        server.shutdown()
    assert min(ended.returncode, 1) == code


def test_every_python_package_of_an_image_is_pinned() -> None:
    installs = [
        install
        for name, value in instructions()
        if name == "RUN"
        for install in re.findall(r"pip install ([^&|]*)", value)
    ]
    assert installs
    for install in installs:
        pins = re.search(r"-c (\S+)", install)
        assert (ROOT / pins[1]).is_file() if pins else "--no-deps" in install.split(), install


def test_the_python_of_the_images_is_the_python_of_the_pins() -> None:
    [base] = [value for name, value in instructions() if name == "ARG"]
    version = base.partition("python:")[2].partition("-")[0]
    for pins in ("cpu", "gpu"):
        assert f"Python {version}" in (ROOT / f"constraints/{pins}.txt").read_text("utf-8").splitlines()[0]


@pytest.mark.parametrize(("target", "gpus"), [("cpu", False), ("gpu", True)])
def test_an_image_serves_a_stack_that_it_has(target: str, gpus: bool) -> None:
    command, stack = json.loads(dict(stages()[target])["CMD"])
    assert command == "serve"
    assert (read(ROOT / stack).args.gpus() > 0) == gpus


def test_the_cpu_image_holds_the_weights_of_the_stack_that_it_serves() -> None:
    [pull] = [value for name, value in stages()["build-cpu"] if "parle pull" in value]
    assert set(re.findall(r"parle pull (\S+)", pull)) == {json.loads(dict(stages()["cpu"])["CMD"])[1]}


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_kubernetes_runs_an_image_as_its_own_user(target: str) -> None:
    """The one that /weights belongs to; as a number, which Kubernetes can tell from root."""
    manifest = yaml.safe_load((ROOT / "deploy/kuberay/rayservice.yaml").read_text("utf-8"))
    cluster = manifest["spec"]["rayClusterConfig"]
    pods = [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    [(user, group)] = {(pod["securityContext"]["runAsUser"], pod["securityContext"]["fsGroup"]) for pod in pods}
    assert dict(stages()[target])["USER"] == f"{user}:{group}"
    assert any("useradd" in value and f"--uid {user} " in value for _, value in stages()["base"])


def test_everything_that_is_copied_exists_and_is_sent_to_the_builder() -> None:
    assert IGNORED[1] == "*"
    sent = [line.removeprefix("!") for line in IGNORED if line.startswith("!")]
    for name, value in instructions():
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


def test_the_gpu_file_only_changes_services_that_exist() -> None:
    base, gpu = (compose(name) for name in COMPOSE)
    assert set(gpu["services"]) <= set(base["services"])


@pytest.mark.parametrize("name", COMPOSE)
def test_compose_builds_an_image_of_the_dockerfile_and_gives_it_a_stack_that_it_can_serve(name: str) -> None:
    parle = compose(name)["services"]["parle"]
    build = {**compose("compose.yaml")["services"]["parle"]["build"], **parle["build"]}
    assert (FOLDER / build["context"] / build["dockerfile"]).resolve() == FOLDER / "Dockerfile"
    assert parle["command"] == json.loads(dict(stages()[build["target"]])["CMD"])


def test_compose_waits_longer_for_the_end_than_parle_takes() -> None:
    parle = compose("compose.yaml")["services"]["parle"]
    assert float(parle["stop_grace_period"].removesuffix("s")) > child_process.STOP_S


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
    assert mounted
    assert [path for path in mounted if not path.is_file()] == []
