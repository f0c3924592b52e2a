"""What Ray's HTTP proxy does to a request before it passes it on: upload_door.py, unread_body.py, and plain headers.

Ray takes some headers of a request for orders: a timeout that cuts a stream without an event, one that lets a turn run
on after its client has gone, ids that it copies into every log line and answer, and that must be UTF-8. These come from
strangers here, so they are removed, or replaced where they are no plain names.

The proxy imports this by its name in RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH, which `parle serve` and the images set.
"""

from __future__ import annotations

import re

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.launch.unread_body import UnreadBody
from serve_app.launch.upload_door import UploadDoor

ORDERS = (b"x-request-timeout-seconds", b"x-request-disconnect-disabled", b"serve-multiplexed-model-id")
IDS = (b"x-request-id", b"x-session-id")
_PLAIN = re.compile(rb"[A-Za-z0-9._:-]{1,64}")

Headers = list[tuple[bytes, bytes]]


def middlewares() -> list[Middleware]:
    """What Ray's proxy asks for when it starts."""
    return [Middleware(PlainHeaders), Middleware(UploadDoor), Middleware(UnreadBody)]  # the last one is the outermost


class PlainHeaders:
    """ASGI middleware: no request gives Ray an order, or an id that is no plain name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "headers" in scope:
            scope = {**scope, "headers": plain(scope["headers"])}
        await self._app(scope, receive, send)


def plain(headers: Headers) -> Headers:
    """The headers that may pass. Of an id given twice, the first, since Ray would take one here and one there."""
    kept: Headers = []
    ids: set[bytes] = set()
    for name, value in headers:
        known = name.lower().replace(b"_", b"-")  # Ray takes both for the same
        if known in ORDERS or not name.isascii():
            continue
        if known in IDS:
            if known in ids or not _PLAIN.fullmatch(value):
                continue
            ids.add(known)
        kept.append((name, value))
    return kept
