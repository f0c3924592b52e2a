"""The graph that `build` gives to Ray: each stage's share of the card, and which stage loads first."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest
from support.paths import CONFIGS

from serve_app.config.lint import read
from serve_app.config.stack import StackArgs
from serve_app.errors import StackError
from serve_app.ingress import build
from serve_app.launch import preflight
from serve_app.replicas.replica import in_time, load_engine

STAGES = {"stt": "SpeechToText", "cefr": "CefrClassifier", "llm": "TutorLLM", "tts": "TextToSpeech"}


def graph(file: str, monkeypatch: pytest.MonkeyPatch) -> tuple[StackArgs, dict[str, Any]]:
    """The stack's args, and its deployments by name as on a machine that has the cards."""
    monkeypatch.setattr(preflight, "check", lambda args: None)
    args = read(CONFIGS / file).args
    ingress = build(args)._bound_deployment
    bound = [getattr(part, "_bound_deployment", None) for part in ingress.init_args]
    return args, {deployment.name: deployment for deployment in bound if deployment is not None}


@pytest.mark.parametrize("file", ["local_stack.yaml", "modal_stack.yaml", "cluster_stack.yaml"])
def test_each_stage_gets_the_share_that_args_name(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    args, deployments = graph(file, monkeypatch)
    for stage, config in args.stages().items():
        options = deployments[STAGES[stage]].ray_actor_options
        assert (options["num_gpus"], options["num_cpus"]) == (config.num_gpus, 0)


@pytest.mark.parametrize("file", ["cpu_stack.yaml", "laptop_stack.yaml"])
def test_a_stack_without_a_card_asks_ray_for_none(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, deployments = graph(file, monkeypatch)
    assert len(deployments) == 4
    assert not any(deployment.ray_actor_options.get("num_gpus") for deployment in deployments.values())


@pytest.mark.parametrize("file", ["local_stack.yaml", "modal_stack.yaml"])
def test_on_a_shared_card_the_others_wait_for_the_llm(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, deployments = graph(file, monkeypatch)
    for name, deployment in deployments.items():
        waits_for = [part._bound_deployment.name for part in deployment.init_args[1:]]
        assert waits_for == ([] if name == "TutorLLM" else ["TutorLLM"])


async def test_a_stage_fetches_at_once_and_builds_only_after_the_one_before_it() -> None:
    log: list[str] = []
    first = threading.Event()

    def up(_: Any) -> bool:
        if first.is_set():
            log.append("first is up")
        return first.is_set()

    loading = asyncio.create_task(
        load_engine(lambda: log.append("fetched"), lambda _: log.append("built"), cast(Any, "the first"), up=up)
    )
    async with asyncio.timeout(30):
        while log != ["fetched"]:  # noqa: ASYNC110 - a thread fetches and tells nobody
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    first.set()
    await loading
    assert log == ["fetched", "first is up", "built"]


async def test_a_start_that_hangs_ends_with_what_was_waited_for() -> None:
    with pytest.raises(StackError, match=r"The tutor's prompt was not read within 0.01 s"):
        async with in_time(0.01, "The tutor's prompt was not read"):
            await asyncio.Event().wait()
    with pytest.raises(TimeoutError, match="of the library"):
        async with in_time(10, "The tutor's prompt was not read"):
            raise TimeoutError("of the library")
