"""Waiting for what gives no sign when it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Until the condition holds; fails after that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.1)


async def until_more(count: Callable[[], Awaitable[int]], than: int) -> None:
    """Until the count exceeds `than`; fails after a minute."""
    async with asyncio.timeout(60):
        while await count() <= than:  # noqa: ASYNC110 - an engine counts in its own threads and tells nobody
            await asyncio.sleep(0.005)


async def at_rest(count: Callable[[], Awaitable[int]]) -> int:
    """The count once it has not changed for a second; fails if it goes on for half a minute."""
    async with asyncio.timeout(30):
        before = -1
        while (now := await count()) != before:
            before = now
            await asyncio.sleep(1)
    return before


async def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """As `wait_for`, for what happens on this event loop."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.01)
