"""What the four model stages share: loading off the event loop, and failing in a way others can read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ray.serve.handle import DeploymentHandle

from serve_app.errors import ParleError, StackError, StageFailed

logger = logging.getLogger("ray.serve")

Engine = TypeVar("Engine")
Model = TypeVar("Model")

DEFAULTS: dict[str, Any] = {
    "ray_actor_options": {"num_cpus": 0},
    "max_ongoing_requests": 32,
    "max_queued_requests": 64,
    "health_check_period_s": 2,
    "health_check_timeout_s": 30,
    "graceful_shutdown_wait_loop_s": 0.5,
    "graceful_shutdown_timeout_s": 5,
}
"""Deployment options of every model stage; `deployments:` in the YAML overrides them.

No CPU is reserved: a reservation would be bookkeeping only, and on a laptop with two
cores five replicas would never be placed."""


async def load(
    fetch: Callable[[], Model], build: Callable[[Model], Engine], after: DeploymentHandle | None = None
) -> Engine:
    """Fetch an engine's weights and build it, in a thread, so that the replica still answers meanwhile.

    All stages fetch at the same time. `after` is the stage that must have its memory first where
    both share a card: building waits until that one is ready.

    Raises:
        StackError: a library that the engine needs is not installed, or what the engine raises.
    """
    try:
        model = await asyncio.to_thread(fetch)
        if after is not None:
            await after.ready.remote()
        return await asyncio.to_thread(build, model)
    except ModuleNotFoundError as error:
        raise StackError(missing_library(error)) from None


def missing_library(error: ModuleNotFoundError) -> str:
    return f"The library '{error.name}' is not installed: pip install 'parle-serve[cpu]' (or [gpu] for a GPU stack)."


@contextmanager
def failing_as(stage: str) -> Iterator[None]:
    """The outermost edge of a stage: what its library raises is logged here and leaves as our own light error.

    A library's exception must not cross to another process: to read it, that process
    would have to import the library.
    """
    try:
        yield
    except ParleError:
        raise
    except Exception as error:
        logger.exception("stage %s failed", stage)
        raise StageFailed(f"The {stage} stage failed ({type(error).__name__}).", stage=stage) from None
