"""What the four model stages share: deployment options, loading off the event loop, errors that can be pickled."""

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

DEPLOYMENT_OPTIONS: dict[str, Any] = {
    "ray_actor_options": {"num_cpus": 0},
    "max_ongoing_requests": 32,
    "max_queued_requests": 64,
    "health_check_period_s": 2,
    "health_check_timeout_s": 30,
    "graceful_shutdown_wait_loop_s": 0.5,
    "graceful_shutdown_timeout_s": 5,
}
"""Deployment options of every model stage; `deployments:` in the YAML overrides them.

No CPU is reserved: Ray does not enforce reservations, and on a laptop with two cores it could not place five
replicas."""


async def load_engine(
    fetch: Callable[[], Model], build: Callable[[Model], Engine], after: DeploymentHandle | None = None
) -> Engine:
    """Fetch an engine's weights and build it, in threads, so that the replica answers meanwhile.

    All stages fetch at the same time. `after` is a stage on the same card that must allocate its memory first:
    building waits until it is ready.

    Raises:
        StackError: a library that the engine needs is not installed, or what the engine raises.
    """
    try:
        model = await asyncio.to_thread(fetch)
        if after is not None:
            await after.ready.remote()
        return await asyncio.to_thread(build, model)
    except ModuleNotFoundError as error:
        raise StackError(_missing_library(error)) from None


def _missing_library(error: ModuleNotFoundError) -> str:
    return f"The library '{error.name}' is not installed: pip install 'parle-serve[cpu]' (or [gpu] for a GPU stack)."


@contextmanager
def stage_errors(stage: str) -> Iterator[None]:
    """Logs what a stage's library raises and turns it into StageFailed.

    A library's exception must not reach another process, which would have to import the library to unpickle it.
    """
    try:
        yield
    except ParleError:
        raise
    except Exception as error:
        logger.exception("stage %s failed", stage)
        raise StageFailed(f"The {stage} stage failed ({type(error).__name__}).", stage=stage) from None
