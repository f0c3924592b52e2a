"""vLLM on Gemma 3 270M, started once for all tests that use it, in whatever folder they stand (a pytest plugin)."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serve_app.lesson import tutor_prompt
from serve_app.weights.model_names import resolve

if TYPE_CHECKING:
    from serve_app.engines.llm.vllm import Vllm

CONTEXT_TOKENS = 1024
MAX_REPLIES = 4


def pytest_configure() -> None:
    # On a CPU vLLM would run the model in a third process, below its engine's. On one card there is none.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"


@pytest.hookimpl(trylast=True)  # after pytest has put together what shares a fixture
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """vLLM's tests after the others, the one that kills it last of them, and then the stacks.

    The stacks' replicas find in vLLM's cache what its engines here have found out about the models' classes.
    """

    def place(item: pytest.Item) -> int:
        if item.path.name.endswith("_stack.py") and item.path.parent.name == "gpu_engines":
            return 3
        if item.get_closest_marker("kills_vllm"):
            return 2
        return int(item.path.name == "test_vllm.py" or "[vllm]" in item.name)

    items.sort(key=place)


@pytest.fixture(scope="session")
def gemma_folder(pytestconfig: pytest.Config) -> Path:
    """The folder of Gemma 3 270M, kept in pytest's cache."""
    from gpu_engines import tiny_llm

    assert pytestconfig.cache is not None
    return tiny_llm.gemma_270m(resolve("wheel:gemma-3-270m"), pytestconfig.cache.mkdir("gemma-3-270m-portuguese"))


@pytest.fixture(scope="session")
def gemma_vllm(gemma_folder: Path) -> Generator[Vllm]:
    """A base model, kept to the lesson by the transcript template. Its tests run in the session's event loop."""
    from serve_app.engines.llm.vllm import Vllm

    with running(
        lambda: Vllm(
            gemma_folder,
            device="cpu",
            context_tokens=CONTEXT_TOKENS,
            max_replies=MAX_REPLIES,
            kv_cache_bytes=1 << 28,
            chat_template=tutor_prompt.transcript_template(),
            cuda_graphs=False,
        )
    ) as engine:
        yield engine


@contextmanager
def running(build: Callable[[], Vllm]) -> Iterator[Vllm]:
    """Built in a thread, as a stage does it; closed after the block."""
    from vllm.model_executor.models import registry

    with pytest.MonkeyPatch.context() as patched, ThreadPoolExecutor(1) as thread:
        # vLLM looks at a model's class in a process of its own, to keep CUDA out of this one; here is none.
        patched.setattr(registry, "_run_in_subprocess", lambda look: look())
        engine = thread.submit(build).result()
    yield engine
    engine.close()
