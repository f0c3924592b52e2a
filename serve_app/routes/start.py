"""POST /api/start and /api/sessions/ID/finish: turns in which the tutor speaks unasked, as server-sent events."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData

from serve_app.errors import NotFound, TooLarge
from serve_app.lesson.kept import TurnKind
from serve_app.routes.api_docs import answers, body_of
from serve_app.routes.asked import fields_of_json, plain
from serve_app.routes.choice import SESSION_ID, Choice
from serve_app.routes.gate import client_of
from serve_app.routes.lessons import Lessons, turn_id_of
from serve_app.routes.sse import ROUTE, EventStream, TurnFields, order_of, wait_of
from serve_app.routes.upload import Upload
from serve_app.routes.upload_form import declared_length

START = "/api/start"
FINISH = "/api/sessions/{session_id}/finish"
BODY_MB = 0.02
"""Largest body, in megabytes: a few short fields."""


class StartRoutes:
    """A turn each. The body is a form or a JSON object with the fields of a turn; it may be empty."""

    def __init__(self, lessons: Lessons) -> None:
        self._lessons = lessons

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route(
            START,
            self.start,
            methods=["POST"],
            response_class=StreamingResponse,
            summary="The tutor speaks first: the opening of a lesson, as events and speech",
            responses=answers("text/event-stream", description="The events of docs/wire.md"),
            openapi_extra=_optional(
                body_of(
                    "application/json",
                    TurnFields,
                    f"curl -N -H 'Content-Type: application/json' -d '{{\"scenario\": \"padaria\"}}' "
                    f"http://127.0.0.1:8000{START}",
                )
            ),
        )
        routes.add_api_route(
            FINISH,
            self.finish,
            methods=["POST"],
            response_class=StreamingResponse,
            summary="The lesson summed up, as data and as the tutor says it",
            responses=answers("text/event-stream", description="The events of docs/wire.md"),
            openapi_extra=_optional(
                body_of(
                    "application/json",
                    TurnFields,
                    f"curl -N -X POST http://127.0.0.1:8000{FINISH}",
                )
            ),
        )
        return routes

    async def start(self, request: Request) -> StreamingResponse:
        return await self._unasked(request, "start")

    async def finish(self, request: Request, session_id: str) -> StreamingResponse:
        if not re.fullmatch(SESSION_ID, session_id):
            raise NotFound("There is no such conversation.")
        return await self._unasked(request, "finish", session_id=session_id)

    async def _unasked(self, request: Request, kind: TurnKind, **fixed: str) -> StreamingResponse:
        lessons = self._lessons
        client = client_of(request.scope)
        with lessons.refusals(ROUTE), ExitStack() as slot:
            slot.enter_context(lessons.shares.turn(client))
            place = slot.enter_context(lessons.place(client, wait=wait_of(request)))
            limits = lessons.limits.model_copy(update={"max_body_mb": BODY_MB})
            try:
                with place.uploading(Upload(request.receive, limits, declared=declared_length(request))) as upload:
                    fields = await _fields(Request(request.scope, upload.receive))
            except TooLarge:
                raise TooLarge(
                    f"The request is larger than {BODY_MB * 1000:g} kB: send the fields of a turn."
                ) from None
            order = order_of(fields.pop("order", None))
            choice = Choice().changed({**fields, **fixed})
            waits = not place.taken
            if not waits:
                slot.enter_context(lessons.turn())
            utterance = await lessons.utterance(
                kind, choice, order, route=ROUTE, turn_id=turn_id_of(request.headers), owner=client.owner
            )
            return EventStream(lessons, utterance, place, slot.pop_all(), waits=waits)


async def _fields(request: Request) -> dict[str, Any]:
    """The fields of a form or of a JSON object; none of an empty body.

    Raises:
        InvalidField: it is neither, or a field is no plain value.
    """
    kind, _ = parse_options_header(request.headers.get("content-type", ""))
    if kind in (b"multipart/form-data", b"application/x-www-form-urlencoded"):
        return plain(dict(await _form(request)))
    return fields_of_json(await request.body())


async def _form(request: Request) -> FormData:
    async with request.form(max_files=0, max_fields=20) as form:
        return form


def _optional(described: dict[str, Any]) -> dict[str, Any]:
    described["requestBody"]["required"] = False
    return described
