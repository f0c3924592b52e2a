"""How many uploads at a time Ray hands to the ingress: too many would delay everything else."""

from __future__ import annotations

import asyncio

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.errors import Busy
from serve_app.launch.unread_body import has_body
from serve_app.refusal import refusal

AT_A_TIME = 64
"""Uploads that the ingress has and has not answered yet."""
MOST_WAITING = 256
"""Uploads that wait for one of these; one more is refused."""


class UploadDoor:
    """ASGI middleware: passes on so many requests with a body as may be without an answer at a time.

    To hand one to the ingress costs Ray some milliseconds, in the order in which they came: a thousand at once would
    delay a health check by many seconds. To wait here, or to be refused here, costs next to nothing.
    """

    def __init__(self, app: ASGIApp, at_a_time: int = AT_A_TIME, most_waiting: int = MOST_WAITING) -> None:
        self._app = app
        self._free = asyncio.Semaphore(at_a_time)
        self._most_waiting = most_waiting
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not has_body(scope):
            return await self._app(scope, receive, send)
        if self._waiting >= self._most_waiting:
            busy = Busy("Too many recordings are arriving; try again in a few seconds.", retry_after_s=5)
            return await JSONResponse(*refusal(busy, scope["path"]))(scope, receive, send)
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        inside = True

        def leave() -> None:
            nonlocal inside
            if inside:
                inside = False
                self._free.release()

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                leave()
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        finally:
            leave()
        return None
