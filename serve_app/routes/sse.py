"""POST /api/stream-audio: one recording in, the turn as server-sent events out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from typing import Any, cast, get_args

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.datastructures import UploadFile
from starlette.types import Receive, Scope, Send

from serve_app.config.stack import Order
from serve_app.errors import BadAudio, InvalidField, ParleError
from serve_app.lesson.events import Failed, Waiting, sse
from serve_app.lesson.stage_protocols import Utterance
from serve_app.routes.api_docs import answers, body_of
from serve_app.routes.choice import Choice
from serve_app.routes.gate import client_of
from serve_app.routes.keep_alive import kept_alive
from serve_app.routes.lessons import Lessons, turn_id_of
from serve_app.routes.places import Place
from serve_app.routes.upload import Upload
from serve_app.routes.upload_form import read_form

ROUTE = "sse"
AUDIO_FIELDS = ("audio", "file")


class TurnFields(Choice):
    """The fields of the form beside the recording."""

    order: Order = "documented"
    """`eager`: each piece of sound is sent as soon as it exists."""


class SseRoute:
    """POST /api/stream-audio."""

    def __init__(self, lessons: Lessons) -> None:
        self._lessons = lessons

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route(
            "/api/stream-audio",
            self.stream_audio,
            methods=["POST"],
            response_class=StreamingResponse,
            summary="A spoken turn: one recording in, the tutor's answer as events and speech out",
            responses=answers("text/event-stream", description="The events of docs/wire.md"),
            openapi_extra=body_of(
                "multipart/form-data",
                TurnFields,
                "curl -N -F audio=@pergunta.wav http://127.0.0.1:8000/api/stream-audio",
                file="audio",
            ),
        )
        return routes

    async def stream_audio(self, request: Request) -> StreamingResponse:
        lessons = self._lessons
        client = client_of(request.scope)
        with lessons.refusals(ROUTE), ExitStack() as slot:
            slot.enter_context(lessons.shares.turn(client))
            place = slot.enter_context(lessons.place(client, wait=_wait(request)))
            with place.uploading(Upload(request.receive, lessons.limits, declared=_length(request))) as upload:
                recording, fields = await _read_form(Request(request.scope, upload.receive))
            order = _order(fields.pop("order", None))
            choice = Choice().changed(fields)
            if place.taken:
                slot.enter_context(lessons.turn())
            turn_id = turn_id_of(request.headers)
            utterance = await lessons.utterance(
                recording, choice, order, route=ROUTE, turn_id=turn_id, owner=client.owner
            )
            return EventStream(lessons, utterance, place, slot.pop_all())


class EventStream(StreamingResponse):
    """The response that streams a turn's events. Frees `slot`, the turn's place, however the stream ends."""

    def __init__(self, lessons: Lessons, utterance: Utterance, place: Place, slot: ExitStack) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        events = _events(lessons, utterance, place, slot, waited=not place.taken)
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._slot:
            async with kept_alive(send) as send:
                await super().__call__(scope, receive, send)


async def _events(
    lessons: Lessons, utterance: Utterance, place: Place, slot: ExitStack, *, waited: bool
) -> AsyncGenerator[bytes, None]:
    if waited:
        try:
            with lessons.refusals(ROUTE):
                async with aclosing(place.numbers()) as numbers:
                    async for number in numbers:
                        yield sse(Waiting(number))
                slot.enter_context(lessons.turn())
        except ParleError as error:
            yield sse(Failed.of(error, "request"))
            return
    async with aclosing(lessons.events(utterance)) as events:
        async for event in events:
            yield sse(event)


async def _read_form(request: Request) -> tuple[bytes, dict[str, Any]]:
    """The recording and the other fields.

    Raises:
        BadAudio: there is no recording, or the form cannot be read.
        TooLarge, TooSlow: as soon as too many bytes have come, or too few.
        InvalidField: a field was sent twice or as a file.
    """
    fields: dict[str, Any] = {}
    recording = None
    form = await read_form(request, max_files=2, max_fields=20)
    try:
        for name, value in form.multi_items():
            if name in AUDIO_FIELDS:
                if not isinstance(value, UploadFile):
                    raise BadAudio(
                        f"The field '{name}' must be a file, not text: give its part a filename or an audio/... type.",
                        code="no_audio",
                    )
                if recording is not None:
                    raise InvalidField("One recording at a time: the form has two.")
                recording = await value.read()
            elif isinstance(value, UploadFile) or name in fields:
                raise InvalidField(f"The field '{name}' must be sent once, as text.")
            else:
                fields[name] = value
    finally:
        await form.close()
    if recording is None:
        raise BadAudio("There is no recording: send it in the field 'audio'.", code="no_audio")
    return recording, fields


def _wait(request: Request) -> bool:
    """Whether the client would wait for a place: `?wait=true`."""
    value = request.query_params.get("wait", "false")
    if value not in ("true", "false"):
        raise InvalidField("wait must be true or false.")
    return value == "true"


def _length(request: Request) -> int | None:
    """The declared size of the body; the HTTP server has checked that it is a number."""
    declared = request.headers.get("content-length")
    return None if declared is None else int(declared)


def _order(value: str | None) -> Order:
    if value in (None, ""):
        return "documented"
    if value not in get_args(Order):
        raise InvalidField(f"order must be one of: {', '.join(get_args(Order))}.")
    return cast(Order, value)
