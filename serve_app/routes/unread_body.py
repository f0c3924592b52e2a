"""Answers that come before the end of the request's body, as refusals do."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_S = 2.0
MOST_LINGERING = 64
"""More of them are closed at once, so that they never keep the server from new requests."""


class UnreadBody:
    """ASGI middleware: after such an answer, reads on for a moment and then closes the connection.

    Closed at once, the connection would be reset, and a client that is still sending would lose the answer (RFC 9112,
    9.6). Left open, it would belong to a client that sends a byte now and then for as long as that likes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lingering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            return await self._app(scope, receive, send)
        read_whole = False

        async def watched_receive() -> Message:
            nonlocal read_whole
            message = await receive()
            read_whole = read_whole or message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def closing_send(message: Message) -> None:
            if not read_whole and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            elif not read_whole and message["type"] == "http.response.body" and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await linger()
                message = {"type": "http.response.body"}
            await send(message)

        async def linger() -> None:
            if self._lingering >= MOST_LINGERING:
                return
            self._lingering += 1
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LINGER_S):
                        while not read_whole:
                            await watched_receive()
            finally:
                self._lingering -= 1

        return await self._app(scope, watched_receive, closing_send)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
