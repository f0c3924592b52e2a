"""Answers that come before the end of the request's body, as refusals do."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_S = 10.0
"""Longest time to read on after an answer."""
SILENCE_S = 2.0
"""A client that sends nothing for so long has stopped."""
MOST_LINGERING = 256
"""Connections read on at a time; one more is closed at once."""


class UnreadBody:
    """ASGI middleware: reads on for a moment after an answer that came before the end of the body, and then closes.

    Closed at once, the connection would be reset, and a client that is still sending would lose the answer (RFC 9112,
    9.6). Left open, it would belong to a client that sends a byte now and then for as long as that likes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lingering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not has_body(scope):
            return await self._app(scope, receive, send)
        read_whole = answered = False

        async def watched_receive() -> Message:
            nonlocal read_whole
            message = await receive()
            read_whole = read_whole or message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def watched_send(message: Message) -> None:
            nonlocal answered
            if not read_whole and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            elif not read_whole and message["type"] == "http.response.body" and not message.get("more_body", False):
                answered = True
                message = {**message, "more_body": True}
            await send(message)

        await self._app(scope, watched_receive, watched_send)
        if answered:
            await self._read_on(receive)
            await send({"type": "http.response.body"})
        return None

    async def _read_on(self, receive: Receive) -> None:
        """Read and forget, until the body ends, the client is silent or the time is over."""
        if self._lingering >= MOST_LINGERING:
            return
        self._lingering += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    more = True
                    while more:
                        async with asyncio.timeout(SILENCE_S):
                            more = (await receive()).get("more_body", False)
        finally:
            self._lingering -= 1


def has_body(scope: Scope) -> bool:
    """Whether it is a request with a body, by its headers."""
    if scope["type"] != "http":
        return False
    headers = Headers(scope=scope)
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
