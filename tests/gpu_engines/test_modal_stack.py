"""configs/modal_stack.yaml whole, on a logical GPU: a turn over SSE."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from gpu_engines import tiny_llm, tiny_qwen3_tts
from gpu_engines.stacks import DREAMS, ON_CPU, SAID, SMALL_LLM, serving
from ray.cluster_utils import Cluster
from support.clients import ask
from support.servers import Server
from support.speech import word_error_rate

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def modal(card: Cluster, whisper_folder: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    folder = tmp_path_factory.mktemp("modal")
    models = {
        "stt": {"model": whisper_folder, **ON_CPU},
        "llm": {"model": str(tiny_llm.ministral(folder / "ministral")), "format": "mistral", **SMALL_LLM},
        "tts": {"model": str(tiny_qwen3_tts.make(folder / "qwen3-tts")), "dtype": "float32", **ON_CPU},
    }
    with serving("modal_stack.yaml", card, folder, models, {"sampling": DREAMS}) as server:
        yield server


def test_modal_serves_a_turn_over_sse(modal: Server, question: bytes) -> None:
    stages = modal.info()["stages"]
    assert {name: stage["engine"] for name, stage in stages.items()} == {
        "stt": "transformers",
        "llm": "vllm",
        "tts": "qwen3-tts",
    }
    turn = ask(modal.url, question)
    for _ in range(4):
        if turn.last.name != "error" or turn.last.data["code"] != "empty_reply":
            break  # what random weights write may be nothing that can be said
        turn = ask(modal.url, question)
    assert turn.last.name == "complete"
    assert word_error_rate(SAID, turn.one("transcript")["transcript"]) <= 0.2
    assert len(turn.audio()) > 2400
