"""GET /: the browser client, as it lies in serve_app/web; plain files, and a page that may load nothing else."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

PAGE = "index.html"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""What is served, and nothing beside it. Named here: what `mimetypes` says depends on the machine."""

_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, read once at the start: a request can name no other."""

    body: bytes
    media_type: str
    etag: str


def assets() -> dict[str, Asset]:
    """The files of the client by name."""
    return {entry.name: _asset(entry) for entry in files("serve_app").joinpath("web").iterdir() if _suffix(entry.name)}


def policy(host: str) -> str:
    """The Content-Security-Policy: this host alone.

    `'self'` does not cover the WebSocket in every browser, so its address is named; a Host header that is no
    host's name gets no such line.
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            f"connect-src 'self'{sockets}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def router() -> APIRouter:
    """`/` and `/web/NAME`. `no-cache` lets a browser keep them but ask each time, so an update is seen at once."""
    routes = APIRouter()
    served = assets()

    def answer(name: str, request: Request) -> Response:
        asset = served.get(name)
        if asset is None:
            raise HTTPException(404)
        headers = {
            "Cache-Control": "no-cache",
            "ETag": asset.etag,
            "Content-Security-Policy": policy(request.headers.get("host", "")),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
        }
        if asset.etag in _etags(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        return Response(asset.body, media_type=asset.media_type, headers=headers)

    @routes.api_route("/", methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        return answer(PAGE, request)

    @routes.api_route("/web/{name}", methods=["GET", "HEAD"])
    async def file(name: str, request: Request) -> Response:
        return answer(name, request)

    return routes


def _asset(entry: Traversable) -> Asset:
    body = entry.read_bytes()
    return Asset(body, TYPES[_suffix(entry.name)], f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _suffix(name: str) -> str:
    """The suffix of a file that is served, else nothing."""
    suffix = f".{name.rpartition('.')[2]}"
    return suffix if suffix in TYPES else ""


def _etags(header: str) -> set[str]:
    """The tags of an If-None-Match; a proxy that compresses makes them weak ones."""
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}
