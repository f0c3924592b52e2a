"""deploy/kuberay: the manifests against the CRD's schema and Kubernetes' own, and against Parle's own settings."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from jsonschema import Draft202012Validator
from support.paths import ROOT

from serve_app.config.lint import read

FOLDER = ROOT / "deploy/kuberay"
STACK = ROOT / "configs/cluster_stack.yaml"
DATA = ROOT / "tests/data"
KUBERNETES: Any = json.loads((DATA / "kubernetes_v1.37.json").read_text("utf-8"))
CRD: Any = yaml.safe_load((DATA / "kuberay_rayservice_v1.yaml").read_text("utf-8"))


def documents(text: str) -> list[Any]:
    return list(yaml.safe_load_all(text))


def strict(schema: Any) -> Any:
    """A CRD's schema as `kubectl --validate=strict` means it: a field that it does not know is a fault."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$kubernetes" in schema:
        return {"$ref": f"#/definitions/{schema['$kubernetes']}"}
    closed = {key: strict(value) for key, value in schema.items()}
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def faults(document: Any, schema: Any) -> list[str]:
    validator = Draft202012Validator({**schema, "definitions": KUBERNETES["definitions"]})
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def rayservice_faults(document: Any) -> list[str]:
    return faults(document, strict(CRD["openAPIV3Schema"]))


@pytest.fixture
def manifest() -> Any:
    """Without the aliases of YAML, so that a test may change one place alone."""
    return json.loads(json.dumps(documents((FOLDER / "rayservice.yaml").read_text("utf-8"))[0]))


def cluster_of(manifest: Any) -> Any:
    return manifest["spec"]["rayClusterConfig"]


def worker_of(manifest: Any) -> Any:
    [group] = cluster_of(manifest)["workerGroupSpecs"]
    return group


def containers_of(manifest: Any) -> list[Any]:
    head = cluster_of(manifest)["headGroupSpec"]["template"]["spec"]
    worker = worker_of(manifest)["template"]["spec"]
    return [*head["containers"], *worker["containers"], *worker["initContainers"]]


def test_the_rayservice_fits_the_crds_schema(manifest: Any) -> None:
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayService")
    assert rayservice_faults(manifest) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("rayClusterDeletionDelaySecond",), 180),
        (("rayClusterDeletionDelaySeconds",), -1),
        (("rayClusterConfig", "authOptions", "mode"), "tokens"),
        (("rayClusterConfig", "autoscalerOptions", "version"), "v3"),
        (("rayClusterConfig", "gcsFaultToleranceOptions", "redisPassword"), "secret"),
        (("rayClusterConfig", "headGroupSpec", "rayStartParams", "num-cpus"), 0),
        (("rayClusterConfig", "workerGroupSpecs", 0, "maxReplicas"), "4"),
        (("rayClusterConfig", "workerGroupSpecs", 0, "template", "spec", "container"), []),
        (("rayClusterConfig", "headGroupSpec", "template", "spec", "containers", 0, "resource"), {}),
    ],
)
def test_the_schema_finds_what_is_wrong(manifest: Any, path: tuple[Any, ...], value: Any) -> None:
    broken = copy.deepcopy(manifest)
    place = broken["spec"]
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert len(rayservice_faults(broken)) == 1


def test_redis_fits_kubernetes_schemas(manifest: Any) -> None:
    service, stateful = documents((FOLDER / "redis.yaml").read_text("utf-8"))
    for document, kind in ((service, "core.v1.Service"), (stateful, "apps.v1.StatefulSet")):
        assert faults(document, {"$ref": f"#/definitions/io.k8s.api.{kind}"}) == []
    options = cluster_of(manifest)["gcsFaultToleranceOptions"]
    assert options["redisAddress"] == f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    [container] = stateful["spec"]["template"]["spec"]["containers"]
    assert container["env"][0]["valueFrom"] == options["redisPassword"]["valueFrom"]


def in_a_pod(stack: str) -> Any:
    """The stack file as a pod serves it: there its port is reached from outside."""
    config = yaml.safe_load(stack)
    assert config["http_options"]["host"] == "127.0.0.1"
    config["http_options"]["host"] = "0.0.0.0"
    return config


def test_the_embedded_config_is_the_cluster_stack(manifest: Any, tmp_path: Path) -> None:
    assert yaml.safe_load(manifest["spec"]["serveConfigV2"]) == in_a_pod(STACK.read_text("utf-8"))
    file = tmp_path / "embedded.yaml"
    file.write_text(manifest["spec"]["serveConfigV2"], "utf-8")
    assert read(file).args == read(STACK).args


def test_embed_writes_the_manifest_that_is_there_and_takes_another_stack(tmp_path: Path) -> None:
    def embedded(stack: Path) -> str:
        return subprocess.run(
            [sys.executable, FOLDER / "embed.py", stack], capture_output=True, text=True, check=True
        ).stdout

    assert embedded(STACK) == (FOLDER / "rayservice.yaml").read_text("utf-8")
    other = tmp_path / "other.yaml"
    other.write_text(STACK.read_text("utf-8").replace("temperature: 0.4", "temperature: 0.7"), "utf-8")
    [document] = documents(embedded(other))
    assert yaml.safe_load(document["spec"]["serveConfigV2"]) == in_a_pod(other.read_text("utf-8"))
    assert rayservice_faults(document) == []


def test_ray_in_the_manifest_is_the_ray_that_is_pinned(manifest: Any) -> None:
    assert cluster_of(manifest)["rayVersion"] == ray.__version__
    assert f"ray=={ray.__version__}\n" in (ROOT / "constraints/gpu.txt").read_text("utf-8")


def test_every_stage_scales_and_the_cards_can_follow(manifest: Any) -> None:
    deployments = {
        deployment.name: deployment.model_dump(exclude_unset=True)
        for deployment in read(STACK).schema.applications[0].deployments
    }
    group = worker_of(manifest)
    for name in ("SpeechToText", "CefrClassifier", "TutorLLM", "TextToSpeech"):
        scaling = deployments[name]["autoscaling_config"]
        assert scaling["min_replicas"] <= group["minReplicas"]
        assert scaling["max_replicas"] <= group["maxReplicas"]
    assert cluster_of(manifest)["enableInTreeAutoscaling"] is True
    [worker] = group["template"]["spec"]["containers"]
    assert worker["resources"]["limits"]["nvidia.com/gpu"] == "1"
    promised = {entry["name"]: entry.get("value") for entry in worker["env"]}["PARLE_CLUSTER_GPUS"]
    assert float(promised) == group["maxReplicas"]


def test_whatever_ends_leaves_the_longest_turn_its_time(manifest: Any) -> None:
    stack = read(STACK)
    longest = stack.args.limits.turn_s
    for deployment in stack.schema.applications[0].deployments:
        assert deployment.model_dump(exclude_unset=True)["graceful_shutdown_timeout_s"] > longest
    assert manifest["spec"]["rayClusterDeletionDelaySeconds"] > longest
    spec = worker_of(manifest)["template"]["spec"]
    [worker] = spec["containers"]
    waits = int(worker["lifecycle"]["preStop"]["exec"]["command"][-1].rsplit("sleep ", 1)[1])
    assert longest < waits < spec["terminationGracePeriodSeconds"]


def test_every_pod_exports_metrics_on_the_port_that_it_names(manifest: Any) -> None:
    for group in (cluster_of(manifest)["headGroupSpec"], worker_of(manifest)):
        [container] = group["template"]["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert group["rayStartParams"]["metrics-export-port"] == str(ports["metrics"])


def test_nothing_runs_as_root_and_no_secret_is_written_down(manifest: Any) -> None:
    for container in containers_of(manifest):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
    for group in (cluster_of(manifest)["headGroupSpec"], worker_of(manifest)):
        assert group["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
    for file in FOLDER.glob("*.yaml"):
        for document in documents(file.read_text("utf-8")):
            assert document["kind"] != "Secret"


def test_all_pods_run_the_same_image_and_a_worker_fetches_before_ray_starts(manifest: Any) -> None:
    assert len({container["image"] for container in containers_of(manifest)}) == 1
    [weights] = worker_of(manifest)["template"]["spec"]["initContainers"]
    assert weights["command"][:2] == ["parle", "pull"]
    assert (ROOT / weights["command"][2]) == STACK
