"""configs/cluster_stack.yaml on a Ray cluster of two nodes on this machine, with the engines of the CPU.

An Ingress on each node; conversations are in a PostgreSQL that both use.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from typing import Any

import httpx
import psutil
import pytest
import yaml
from ray.cluster_utils import Cluster
from support import servers
from support.clients import Answer, answered_or_told, ask, asking
from support.paths import ROOT
from support.postgres import postgres
from support.servers import Server
from support.speech import Speaker
from support.waiting import wait_for

pytestmark = pytest.mark.server

LOST = ("stage_lost", "stage_unavailable")
NODE: dict[str, Any] = {"num_cpus": 2, "object_store_memory": 100_000_000}
REPLICATED = ("SpeechToText", "TutorLLM", "TextToSpeech")
ON_CPU = {
    "stt": {"engine": "faster-whisper", "model": "wheel:whisper-base"},
    "cefr": {"engine": "lexical"},
    "llm": {
        "engine": "llama-cpp",
        "model": "wheel:gemma-3-270m",
        "chat_template": "transcript",
        "context_tokens": 2048,
        "slots": 1,
    },
    "tts": {"engine": "kokoro-onnx", "model": "wheel:kokoro-82m"},
}


@pytest.fixture(scope="module")
def nodes() -> Generator[Cluster]:
    with pytest.MonkeyPatch.context() as patched, postgres() as database:
        patched.setenv("PARLE_STORE_URL", database.new_database())
        patched.setenv("RAY_AUTH_MODE", "disabled")
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patched.setenv("RAY_worker_niceness", "0")  # as docs/ and deploy/ tell whoever starts a cluster
        cluster = Cluster(initialize_head=True, head_node_args=NODE)
        try:
            cluster.add_node(**NODE)
            yield cluster
        finally:
            cluster.shutdown()


@pytest.fixture(scope="module")
def cluster_server(nodes: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    folder = tmp_path_factory.mktemp("cluster")
    stack = yaml.safe_load((ROOT / "configs/cluster_stack.yaml").read_text("utf-8"))
    application = stack["applications"][0]
    application["args"].update(ON_CPU)
    [ingress] = [one for one in application["deployments"] if one["name"] == "Ingress"]
    ingress.update(num_replicas=2, max_replicas_per_node=1, ray_actor_options={"num_cpus": 0})
    path = folder / "cluster_stack.yaml"
    path.write_text(yaml.safe_dump(stack, allow_unicode=True), "utf-8")
    with servers.serving(path, folder / "terminal.log", "--address", str(nodes.address)) as running:
        yield running


@pytest.fixture(scope="module")
def question(speech: Speaker) -> bytes:
    return speech.recording("Minha namorada fala português muito bem.")


def below(raylet: int, deployment: str) -> list[psutil.Process]:
    """The replicas of a deployment on the node of that raylet."""
    title = f"ray::ServeReplica:parle:{deployment}"
    children = psutil.Process(raylet).children(recursive=True)
    return [process for process in children if " ".join(process.cmdline()).startswith(title)]


def raylet_of(node: Any) -> int:
    [info] = node.all_processes["raylet"]
    return info.process.pid


def test_two_ingresses_on_two_nodes_hold_one_conversation(
    nodes: Cluster, cluster_server: Server, question: bytes
) -> None:
    head, [other] = nodes.head_node, nodes.worker_nodes
    [first], [second] = (below(raylet_of(node), "Ingress") for node in (head, other))
    before = ask(cluster_server.url, question, session_id="duas")
    assert before.one("level")["utterances"] == 1
    first.kill()

    after: list[Answer] = []

    def answered() -> bool:
        with suppress(AssertionError, httpx.TransportError):  # the proxy has not noticed yet
            after.append(ask(cluster_server.url, question, session_id="duas"))
        return bool(after)

    wait_for(answered, 20, "the other Ingress")  # the new one is not up as soon as that
    assert second.is_running()
    assert after[0].one("level")["utterances"] >= 2, "the conversation went on"
    wait_for(lambda: bool(below(raylet_of(head), "Ingress")), 30, "a new Ingress on the head")
    cluster_server.wait_until_ready()
    kept = cluster_server.get("/api/sessions/duas").json()["turns"]
    assert [turn["transcript"] for turn in kept[:2]] == [before.one("transcript")["transcript"]] * 2


def test_a_node_that_dies_costs_at_most_the_turns_that_ran_on_it(
    nodes: Cluster, cluster_server: Server, question: bytes
) -> None:
    [other] = nodes.worker_nodes
    for node in (nodes.head_node, other):
        for deployment in REPLICATED:
            assert len(below(raylet_of(node), deployment)) == 1, f"{deployment} must be on both nodes"
    assert below(raylet_of(nodes.head_node), "Ingress"), "conversations must not die with another node"
    first = ask(cluster_server.url, question, session_id="aula")
    assert first.last.name == "complete"

    with asking(cluster_server.url, question, session_id="aula", order="eager") as events:
        seen = [next(events)]
        nodes.remove_node(other, allow_graceful=False)
        during = Answer([*seen, *events])

    answered_or_told(during, *LOST)

    answered = 0

    def answers() -> bool:
        nonlocal answered
        turn = ask(cluster_server.url, question, session_id="aula")
        answered_or_told(turn, *LOST)
        answered = answered + 1 if turn.last.name == "complete" else 0
        return answered == 3

    wait_for(answers, 60, "three turns in a row on the node that is left")
    level = ask(cluster_server.url, question, session_id="aula").one("level")
    assert level["utterances"] >= 5, "the conversation went on where it was"


def test_a_node_that_comes_gets_its_replicas(nodes: Cluster, cluster_server: Server, question: bytes) -> None:
    node = nodes.add_node(**NODE)
    wait_for(lambda: all(below(raylet_of(node), name) for name in REPLICATED), 90, "replicas on the new node")
    assert ask(cluster_server.url, question).last.name == "complete"
