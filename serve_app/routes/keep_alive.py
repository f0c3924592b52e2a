"""Signs that an SSE stream still lives, while nothing else is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Message, Send

KEEP_ALIVE_S = 10.0
"""Well below the 30 to 60 s of silence after which proxies close a connection."""
COMMENT = b": still working\n\n"
"""A comment, which every reader of server-sent events passes over."""


@asynccontextmanager
async def kept_alive(send: Send, every_s: float = KEEP_ALIVE_S) -> AsyncIterator[Send]:
    """A `send` for one event stream: as long as the stream is open, a comment after each `every_s` of silence."""
    streaming = False
    spoken = asyncio.Event()

    async def watched_send(message: Message) -> None:
        nonlocal streaming
        spoken.set()
        if message["type"] == "http.response.body":
            streaming = message.get("more_body", False)
        await send(message)

    async def comment() -> None:
        while True:
            spoken.clear()
            try:
                async with asyncio.timeout(every_s):
                    await spoken.wait()
            except TimeoutError:
                if streaming:
                    await send({"type": "http.response.body", "body": COMMENT, "more_body": True})

    comments = asyncio.create_task(comment(), name="keep-alive")
    try:
        yield watched_send
    finally:
        comments.cancel()
        await asyncio.wait([comments])
