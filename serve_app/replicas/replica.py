"""What the four model stages share: deployment options, loading off the event loop, errors that can be pickled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from ray import serve
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
    # Serve replaces a replica after three checks without an answer: a process that hangs is noticed after 20 s.
    "health_check_timeout_s": 5,
    "graceful_shutdown_wait_loop_s": 0.5,
    "graceful_shutdown_timeout_s": 5,
}
"""Deployment options of every model stage; `deployments:` in the YAML overrides them.

No CPU is reserved: Ray does not enforce reservations, and on a laptop with two cores it could not place five
replicas."""


WARM_S = 600.0
"""Longest time for an engine's first work: reading the tutor's prompt on a slow CPU takes a minute or two."""

START_S = 1800.0
"""Longest time to load an engine, and to wait for the stage that loads before it."""

POLL_S = 0.5


def every_replica_up(handle: DeploymentHandle) -> bool:
    """Whether all replicas that the deployment is to have can serve; blocks for some milliseconds."""
    application = serve.status().applications.get(handle.app_name)
    deployment = application and application.deployments.get(handle.deployment_name)
    return deployment is not None and deployment.status == "HEALTHY"


async def load_engine(
    fetch: Callable[[], Model],
    build: Callable[[Model], Engine],
    after: DeploymentHandle | None = None,
    *,
    up: Callable[[DeploymentHandle], bool] = every_replica_up,
) -> Engine:
    """Fetch an engine's weights and build it, in threads, so that the replica answers meanwhile.

    All stages fetch at the same time. `after` is a stage on the same card that must allocate its memory first: building
    waits until all its replicas are up, as any of them may be the one on this card.

    Raises:
        StackError: a library that the engine needs is not installed, it takes too long, or what the engine raises.
    """
    try:
        model = await asyncio.to_thread(fetch)
        async with in_time(START_S, "The engine was not loaded"):
            while after is not None and not await asyncio.to_thread(up, after):  # noqa: ASYNC110 - Serve tells nobody
                await asyncio.sleep(POLL_S)
            return await asyncio.to_thread(build, model)
    except ModuleNotFoundError as error:
        raise StackError(_missing_library(error)) from None


@asynccontextmanager
async def in_time(limit_s: float, otherwise: str) -> AsyncGenerator[None, None]:
    """Ends a block of a replica's start that takes longer than that; a start that hangs would be waited for forever.

    Raises:
        StackError: it took longer; the message begins with `otherwise`.
    """
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise StackError(f"{otherwise} within {limit_s:g} s; the log of the replica may say why.") from None


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
