"""configs/local_stack.yaml whole, on a logical GPU: a turn over the WebSocket; the engine killed; a learner gone."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import psutil
import pytest
from gpu_engines import tiny_cefr, tiny_kokoro
from gpu_engines.stacks import ON_CPU, SAID, SMALL_LLM, serving
from ray.cluster_utils import Cluster
from support.clients import Answer, talking
from support.servers import Server
from support.speech import word_error_rate
from support.waiting import wait_for

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def local(
    card: Cluster, whisper_folder: str, gemma_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Server]:
    folder = tmp_path_factory.mktemp("local")
    models = {
        "stt": {"model": whisper_folder, **ON_CPU},
        "cefr": {"model": str(tiny_cefr.make(folder / "cefr")), **ON_CPU},
        "llm": {"model": str(gemma_folder), "chat_template": "transcript", **SMALL_LLM},
        "tts": {"model": str(tiny_kokoro.make(folder / "kokoro")), **ON_CPU},
    }
    with serving("local_stack.yaml", card, folder, models, {}) as server:
        yield server


def test_local_serves_a_turn_over_the_websocket(local: Server, question: bytes) -> None:
    stages = local.info()["stages"]
    assert {name: stage["engine"] for name, stage in stages.items()} == {
        "stt": "transformers",
        "cefr": "transformers",
        "llm": "vllm",
        "tts": "kokoro",
    }
    with talking(local.url) as talk:
        turns = [talk.ask(question), talk.ask(question)]
    for number, turn in enumerate(turns, start=1):
        assert turn.last.name == "complete"
        assert word_error_rate(SAID, turn.one("transcript")["transcript"]) <= 0.2
        assert turn.one("level")["utterances"] == number
        assert len(turn.audio()) > 2400


def engine_core(local: Server) -> psutil.Process:
    """vLLM's own process, below the replica. It has a title only if its first environment variable is unchanged."""
    below = {child: " ".join(child.cmdline()) for child in local.replica("TutorLLM").children(recursive=True)}
    found = [child for child, command in below.items() if "EngineCore" in command or "spawn_main" in command]
    assert len(found) == 1, below
    return found[0]


def test_a_killed_engine_process_is_an_error_for_its_turn_and_the_replica_comes_back(
    local: Server, question: bytes
) -> None:
    before = local.replica_ids("TutorLLM")
    with talking(local.url) as talk:
        talk.say(question)
        seen = talk.until("delta")
        engine_core(local).kill()
        rest = talk.until("error", "complete")
        turn = Answer([*seen.events, *rest.events])
    assert turn.last.name == "error"
    assert (turn.last.data["code"], turn.last.data["stage"]) == ("stage_lost", "llm")
    wait_for(lambda: not local.replica_ids("TutorLLM") & before, 60, "the replica to be given up")
    local.wait_until_ready(240)
    with talking(local.url) as talk:
        assert talk.ask(question).last.name == "complete"


def test_a_learner_who_goes_frees_the_engine(local: Server, question: bytes) -> None:
    with talking(local.url) as talk:
        talk.say(question)
        talk.until("delta")
        talk.vanish()
    local.wait_until_idle()


def test_a_killed_replica_leaves_no_engine_behind_that_would_keep_the_cards_memory(local: Server) -> None:
    """The last: nobody waits until the new replica, which starts as after a killed engine, is ready."""
    local.wait_until_ready()
    replica, core = local.replica("TutorLLM"), engine_core(local)
    replica.kill()
    wait_for(lambda: not core.is_running() or core.status() == psutil.STATUS_ZOMBIE, 30, "the engine to end")
    wait_for(lambda: local.replica_ids("TutorLLM") - {replica.pid} != set(), 60, "a new replica")
