"""/api/learners/ID: what is kept of a learner, for whoever holds the id; to read, change, export and delete."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from serve_app.errors import InvalidField, NotFound, TooLarge, did_you_mean
from serve_app.learner.editing import edited
from serve_app.learner.forms import as_anki, as_json
from serve_app.learner.model import Learner
from serve_app.lesson.stage_protocols import conversation_id_of
from serve_app.routes.api_docs import answers
from serve_app.routes.choice import SESSION_ID
from serve_app.routes.gate import client_of
from serve_app.routes.lessons import Lessons
from serve_app.routes.sessions import NOT_KEPT

PATH = "/api/learners/{learner_id}"
FORMATS = ("json", "anki")
BODY_BYTES = 50_000
_NONE = "There is no such learner: nothing was said with that learner_id, it was deleted, or it belongs to another key."


class LearnerRoutes:
    """The learners of one key: that of another key has the same answer as none."""

    def __init__(self, lessons: Lessons) -> None:
        self._lessons = lessons

    def router(self) -> APIRouter:
        routes = APIRouter()
        described = answers("application/json", description="What is kept: docs/learners.md")
        routes.add_api_route(
            PATH,
            self.learner,
            methods=["GET"],
            response_class=JSONResponse,
            summary="What is remembered of a learner",
            responses=described,
        )
        routes.add_api_route(
            PATH,
            self.change,
            methods=["PATCH"],
            response_class=JSONResponse,
            summary="Edit or delete facts; save or forget words and corrections",
            responses=described,
            openapi_extra=_BODY,
        )
        routes.add_api_route(
            PATH,
            self.delete,
            methods=["DELETE"],
            status_code=204,
            response_class=Response,
            summary="Forget a learner: all that is remembered across conversations",
        )
        routes.add_api_route(
            f"{PATH}/export",
            self.export,
            methods=["GET"],
            response_class=Response,
            summary="What is remembered as a file, with ?format=anki cards for Anki",
            responses=answers("application/json", "text/tab-separated-values", description="The file"),
        )
        return routes

    async def learner(self, request: Request, learner_id: str) -> JSONResponse:
        found = await self._found(request, learner_id)
        return JSONResponse(as_json(learner_id, found, time.time()), headers=NOT_KEPT)

    async def change(self, request: Request, learner_id: str) -> JSONResponse:
        known = _known(request, learner_id)
        now = time.time()
        change = edited(await _body(request), now)
        if (after := await self._lessons.store.learners.change(known, change)) is None:
            raise NotFound(_NONE)
        return JSONResponse(as_json(learner_id, after, now), headers=NOT_KEPT)

    async def delete(self, request: Request, learner_id: str) -> Response:
        if not await self._lessons.store.learners.delete(_known(request, learner_id)):
            raise NotFound(_NONE)
        return Response(status_code=204)

    async def export(self, request: Request, learner_id: str) -> Response:
        wanted = request.query_params.get("format", "json")
        if wanted not in FORMATS:
            raise InvalidField(did_you_mean("format", wanted, FORMATS))
        found = await self._found(request, learner_id)
        name = f"parle-{re.sub('[^A-Za-z0-9-]', '-', learner_id)}"
        suffix = "json" if wanted == "json" else "txt"
        headers = {**NOT_KEPT, "Content-Disposition": f'attachment; filename="{name}.{suffix}"'}
        if wanted == "json":
            return JSONResponse(as_json(learner_id, found, time.time()), headers=headers)
        return PlainTextResponse(as_anki(found), headers=headers, media_type="text/tab-separated-values")

    async def _found(self, request: Request, learner_id: str) -> Learner:
        if (found := await self._lessons.store.learners.read(_known(request, learner_id))) is None:
            raise NotFound(_NONE)
        return found


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": False,
                    "properties": {
                        "facts": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
                        "save": {"type": "array", "items": {"type": ["string", "object"]}},
                        "forget": {"type": "array", "items": {"type": "string"}},
                    },
                }
            }
        },
    }
}


async def _body(request: Request) -> Any:
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > BODY_BYTES:
            raise TooLarge(f"Send at most {BODY_BYTES} bytes.")
    try:
        body = json.loads(bytes(read))
        json.dumps(body, ensure_ascii=False).encode()  # half of a pair of surrogates fails here
    except (ValueError, RecursionError):
        return None
    return body


def _known(request: Request, learner_id: str) -> str:
    """The learner in the store.

    Raises:
        NotFound: none can have that id.
    """
    if not re.fullmatch(SESSION_ID, learner_id):
        raise NotFound(_NONE)
    return conversation_id_of(client_of(request.scope).owner, learner_id)
