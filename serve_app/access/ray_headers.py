"""Runs inside Ray's proxy: removes the headers with which a client could overrule the server's own policy there.

Ray takes a time limit of the turn, and whether a client that leaves ends it, from headers that it means for a proxy in
front of it. `parle serve` names `middlewares` in RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH; with HAProxy each replica
applies it. Imports little, since the proxy loads it.
"""

from __future__ import annotations

import re

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

IMPORT_PATH = "serve_app.access.ray_headers:middlewares"
REMOVED = frozenset({b"x-request-timeout-seconds", b"x-request-disconnect-disabled", b"serve-multiplexed-model-id"})
"""What Ray 2.60 reads from a client; names are compared with `_` as `-`."""
REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
"""Any other id is dropped, and Ray makes one: it would be echoed and logged, or fail where it is no UTF-8."""


class WithoutOverrides:
    """ASGI middleware that passes on all other headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "headers" in scope:
            scope = {**scope, "headers": [one for one in scope["headers"] if _is_harmless(*one)]}
        await self._app(scope, receive, send)


def middlewares() -> list[Middleware]:
    """What Ray asks for."""
    return [Middleware(WithoutOverrides)]


def _is_harmless(name: bytes, value: bytes) -> bool:
    name = name.lower().replace(b"_", b"-")
    if name == b"x-request-id":
        return REQUEST_ID.fullmatch(value) is not None
    return name not in REMOVED
