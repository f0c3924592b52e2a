"""Work for a caller that has died.

Ray does not tell an actor that the process that called it was killed, and the call goes on to its end: replies that
nobody reads would hold up the learners whose new Ingress asks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from serve_app.process_names import has_died

logger = logging.getLogger("ray.serve")

LOOK_S = 1.0
"""How often it is looked whether the caller lives."""


@asynccontextmanager
async def ended_with(caller: str) -> AsyncGenerator[None, None]:
    """The block is cancelled when the process `caller` (see process_names) has died; "" for one that is not known.

    Of a process on another machine nothing is known: what it asked for is done to the end.
    """
    working = asyncio.current_task()
    if not caller or working is None:
        yield
        return
    watching = asyncio.create_task(_watch(caller, working), name="caller")
    try:
        yield
    finally:
        watching.cancel()


async def _watch(caller: str, working: asyncio.Task[object]) -> None:
    while not has_died(caller):  # noqa: ASYNC110 - a killed process tells nobody
        await asyncio.sleep(LOOK_S)
    logger.warning("the process that asked has died: its call is ended")
    working.cancel()
