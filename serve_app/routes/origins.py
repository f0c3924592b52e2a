"""Which web pages may use the server: the Host and Origin headers of a request, checked before anything else.

A browser lets any page send requests to any server, one on the reader's own machine included, and asks no permission
for a WebSocket. What it does do is tell the truth about where the page came from: in Origin. And a page whose name was
made to point at this server (DNS rebinding) still has that name in Host. Programs other than browsers send no Origin.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.errors import Forbidden
from serve_app.refusal import refusal

HOSTS_VARIABLE = "PARLE_HOSTS"
HEALTH = frozenset({"/healthz", "/readyz"})
"""Asked by load balancers and supervisors, by whatever name they know the server."""
FORBIDDEN = 4403
"""Closes a WebSocket before it is accepted, which a client sees as HTTP 403."""
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class Origins:
    """The names this server answers to, and the origins of pages that may use it besides its own.

    An IP address needs no entry in `hosts`: nobody can make it point elsewhere. Nor does localhost.
    """

    def __init__(self, hosts: Iterable[str] = (), others: Iterable[str] = ()) -> None:
        self._hosts = frozenset(host.strip().lower() for host in hosts if host.strip())
        self._others = frozenset(origin.lower() for origin in others)

    def check(self, headers: Headers) -> None:
        """Pass a request, or refuse it.

        Raises:
            Forbidden: from a page that may not use this server, or for a name that is not this server's.
        """
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        host = _split(hosts[0]) if hosts else None
        if len(hosts) > 1 or (hosts and (host is None or not self._is_ours(host.hostname or ""))):
            raise Forbidden(
                "This server does not answer to the name in the Host header; whoever runs it can add the name to "
                f"args.hosts of the stack, or to {HOSTS_VARIABLE}.",
                code="wrong_host",
            )
        if not origins or (len(origins) == 1 and (self._is_known(origins[0]) or _same(origins[0], host))):
            return
        raise Forbidden(
            "A page of another origin may not use this server; whoever runs it can add the origin to "
            "args.cors_origins of the stack.",
            code="wrong_origin",
        )

    def _is_known(self, origin: str) -> bool:
        return "*" in self._others or origin.lower() in self._others

    def _is_ours(self, name: str) -> bool:
        if name == "localhost" or name.endswith(".localhost") or "*" in self._hosts or name in self._hosts:
            return True
        try:
            return bool(ipaddress.ip_address(name))
        except ValueError:
            return False


def hosts_of(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Names from PARLE_HOSTS, separated by commas: what a recipe knows and a stack file does not."""
    return environment.get(HOSTS_VARIABLE, "").split(",")


def _split(netloc: str) -> SplitResult | None:
    """A Host header taken apart, None where it is none: only a name or address, and a port."""
    if not netloc or set(netloc) & set("/?#@\\ \t,;'\""):
        return None
    try:
        parts = urlsplit(f"//{netloc}")
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return None
    return parts


def _same(origin: str, host: SplitResult | None) -> bool:
    """Whether a page of that origin came from this host. The scheme may differ: a proxy may have ended TLS."""
    try:
        page = urlsplit(origin.lower())
        port = page.port or _DEFAULT_PORTS[page.scheme]
    except (ValueError, KeyError):
        return False
    if host is None:
        return False
    return (page.hostname, port) == (host.hostname, host.port or _DEFAULT_PORTS[page.scheme])


class OriginCheck:
    """ASGI middleware: refuses what `Origins` refuses before a body is read or a WebSocket accepted."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or path_of(scope) in HEALTH:
            return await self._app(scope, receive, send)
        try:
            self._origins.check(Headers(scope=scope))
        except Forbidden as error:
            if scope["type"] == "websocket":
                return await send({"type": "websocket.close", "code": FORBIDDEN, "reason": error.code})
            return await JSONResponse(*refusal(error, path_of(scope)))(scope, receive, send)
        return await self._app(scope, receive, send)


def path_of(scope: Scope) -> str:
    """The path of a request within the application, which may be mounted at a prefix."""
    return scope["path"].removeprefix(scope.get("root_path", ""))
