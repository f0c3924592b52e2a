"""GET and DELETE /api/sessions/ID, and its export: a conversation, for whoever holds it."""

from __future__ import annotations

import re
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from serve_app.errors import InvalidField, NotFound, did_you_mean
from serve_app.lesson.kept import KeptConversation
from serve_app.lesson.stage_protocols import conversation_id_of
from serve_app.routes.api_docs import answers
from serve_app.routes.choice import SESSION_ID
from serve_app.routes.gate import client_of
from serve_app.routes.lessons import Lessons
from serve_app.routes.session_forms import as_json, as_markdown

PATH = "/api/sessions/{session_id}"
Format = Literal["json", "markdown"]
FORMATS: dict[str, Format] = {"json": "json", "markdown": "markdown", "md": "markdown", "text": "markdown"}
NOT_KEPT = {"Cache-Control": "no-store"}
"""What was said is for no cache on the way."""


class SessionRoutes:
    """/api/sessions/ID of one key: that of another key has the same answer as none."""

    def __init__(self, lessons: Lessons) -> None:
        self._lessons = lessons

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route(
            PATH,
            self.session,
            methods=["GET"],
            response_class=JSONResponse,
            summary="A conversation as it was held",
            responses=answers("application/json", description="The conversation and its turns"),
        )
        routes.add_api_route(
            PATH,
            self.delete,
            methods=["DELETE"],
            status_code=204,
            response_class=Response,
            summary="Delete a conversation",
        )
        routes.add_api_route(
            f"{PATH}/export",
            self.export,
            methods=["GET"],
            response_class=Response,
            summary="A conversation as a file, with ?format=markdown a text to read",
            responses=answers("application/json", "text/markdown", description="The conversation"),
        )
        return routes

    async def session(self, request: Request, session_id: str) -> JSONResponse:
        return JSONResponse(as_json(await self._found(request, session_id)), headers=NOT_KEPT)

    async def export(self, request: Request, session_id: str) -> Response:
        wanted = _format(request)
        found = await self._found(request, session_id)
        name = f"parle-{re.sub('[^A-Za-z0-9-]', '-', session_id)}"
        if wanted == "json":
            headers = {**NOT_KEPT, "Content-Disposition": f'attachment; filename="{name}.json"'}
            return JSONResponse(as_json(found), headers=headers)
        headers = {**NOT_KEPT, "Content-Disposition": f'attachment; filename="{name}.md"'}
        return PlainTextResponse(as_markdown(found), headers=headers, media_type="text/markdown")

    async def delete(self, request: Request, session_id: str) -> Response:
        if not await self._lessons.store.delete(_known(request, session_id)):
            raise NotFound(_NONE)
        return Response(status_code=204)

    async def _found(self, request: Request, session_id: str) -> KeptConversation:
        found = await self._lessons.store.read(_known(request, session_id))
        if found is None:
            raise NotFound(_NONE)
        return found


_NONE = "There is no such conversation: it was deleted or has expired, or it belongs to another key."


def _known(request: Request, session_id: str) -> str:
    """The conversation in the store.

    Raises:
        NotFound: no session can have that id.
    """
    if not re.fullmatch(SESSION_ID, session_id):
        raise NotFound(_NONE)
    return conversation_id_of(client_of(request.scope).owner, session_id)


def _format(request: Request) -> Format:
    """As `format` says, or else as Accept does; JSON where neither says anything."""
    given = request.query_params.get("format")
    if given is not None:
        if given not in FORMATS:
            raise InvalidField(did_you_mean("format", given, FORMATS))
        return FORMATS[given]
    accepted = [part.partition(";")[0].strip() for part in request.headers.get("accept", "").lower().split(",")]
    for kind in accepted:
        if kind in ("text/markdown", "text/plain"):
            return "markdown"
        if kind == "application/json":
            return "json"
    return "json"
