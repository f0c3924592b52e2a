"""GET /: the browser client in serve_app/web, as plain files on a page that may load nothing from elsewhere.

The page of the HTTP API, serve_app/api_page, is served in the same way.
"""

from __future__ import annotations

import os
import re
from pathlib import PurePath

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

PAGE = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""The kinds of file that are served. Listed here because `mimetypes` answers differently from machine to machine."""

_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")


class PageFiles(StaticFiles):
    """A page and its files, from a folder of serve_app. ETag and 304 are starlette's; media type and headers ours."""

    def __init__(self, folder: str = "web", *, page: str = "/", files: str = "/web/") -> None:
        super().__init__(packages=[("serve_app", folder)])
        self._page = page
        self._files = files

    def router(self) -> APIRouter:
        routes = APIRouter()
        methods = ["GET", "HEAD"]
        routes.add_api_route(self._page, self.page, methods=methods, include_in_schema=False)
        routes.add_api_route(self._files + "{name}", self.file, methods=methods, include_in_schema=False)
        return routes

    async def page(self, request: Request) -> Response:
        return await self.get_response(PAGE, request.scope)

    async def file(self, name: str, request: Request) -> Response:
        return await self.get_response(name, request.scope)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        media_type = MEDIA_TYPES.get(PurePath(full_path).suffix)
        if media_type is None:
            raise HTTPException(404)
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_headers(Request(scope).headers.get("host", "")))
        if response.status_code != 304:
            response.headers["Content-Type"] = media_type
        return response


def _headers(host: str) -> dict[str, str]:
    """`no-cache` lets a browser keep the files but ask each time, so an update is seen at once."""
    return {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": policy(host),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    }


def policy(host: str) -> str:
    """The Content-Security-Policy: everything from this host, nothing from any other.

    `'self'` does not cover WebSockets in every browser, so their address is named too, unless the Host header does
    not look like a host name.
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "media-src blob:",
            f"connect-src 'self'{sockets}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
