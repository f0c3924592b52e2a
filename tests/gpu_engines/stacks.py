"""A GPU stack on a logical GPU: its own YAML, with miniatures for models."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from gpu_engines import tiny_llm, tiny_whisper
from ray.cluster_utils import Cluster
from support import servers
from support.paths import ROOT
from support.servers import Server
from support.speech import Speaker

from serve_app.weights.model_names import resolve

SAID = "Eu gosto de café e de pão com queijo."
ON_CPU = {"device": "cpu"}
SMALL_LLM = {"context_tokens": 1024, "max_replies": 4, "cuda_graphs": False, **ON_CPU}
DREAMS = {"temperature": 1.0, "top_p": 1.0}
"""A miniature's weights are random: greedily it would say one syllable for ever."""


@pytest.fixture(scope="session")
def card() -> Generator[Cluster]:
    """One node with one logical GPU, which serves one stack after the other."""
    with pytest.MonkeyPatch.context() as patched, tiny_llm.torchvision():
        patched.setenv("RAY_AUTH_MODE", "disabled")
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patched.setenv("HF_HUB_OFFLINE", "1")
        cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 1, "object_store_memory": 100_000_000}
        )
        try:
            yield cluster
        finally:
            cluster.shutdown()


@pytest.fixture(scope="session")
def question(speech: Speaker) -> bytes:
    return speech.recording(SAID)


@pytest.fixture(scope="session")
def whisper_folder(pytestconfig: pytest.Config) -> str:
    assert pytestconfig.cache is not None
    return str(tiny_whisper.whisper_base(Path(pytestconfig.cache.mkdir("models")), resolve("wheel:whisper-base")))


@contextmanager
def serving(
    file: str, card: Cluster, folder: Path, models: dict[str, dict[str, Any]], llm: dict[str, Any]
) -> Generator[Server]:
    """The stack of `file`, changed in nothing but the models, their device and the LLM's `user_config`."""
    stack = yaml.safe_load((ROOT / "configs" / file).read_text("utf-8"))
    [application] = stack["applications"]
    for stage, changes in models.items():
        assert stage in application["args"]
        application["args"][stage].update(changes)
    [tutor] = [deployment for deployment in application["deployments"] if deployment["name"] == "TutorLLM"]
    tutor["user_config"].update(llm)
    [voice] = [deployment for deployment in application["deployments"] if deployment["name"] == "TextToSpeech"]
    voice["user_config"]["openings_ahead"] = False  # a CPU is busy enough
    path = folder / file
    path.write_text(yaml.safe_dump(stack, allow_unicode=True), "utf-8")
    with servers.serving(path, folder / "terminal.log", "--address", str(card.address)) as server:
        yield server
