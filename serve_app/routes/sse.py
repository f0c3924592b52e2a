"""POST /api/stream-audio: one recording or typed utterance in, the turn as server-sent events out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from typing import Any, cast, get_args

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from python_multipart.multipart import parse_options_header
from starlette.types import Receive, Scope, Send

from serve_app.config.stack import Order
from serve_app.errors import BadAudio, InvalidField, ParleError
from serve_app.lesson.events import Failed, Waiting, sse
from serve_app.lesson.stage_protocols import Utterance
from serve_app.routes.api_docs import answers, body_of
from serve_app.routes.asked import Typed, fields_of_json, typed
from serve_app.routes.choice import Choice
from serve_app.routes.gate import client_of
from serve_app.routes.keep_alive import kept_alive
from serve_app.routes.lessons import Lessons, turn_id_of
from serve_app.routes.places import Place
from serve_app.routes.upload import Upload
from serve_app.routes.upload_form import declared_length, read_turn

ROUTE = "sse"


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
            place = slot.enter_context(lessons.place(client, wait=wait_of(request)))
            with place.uploading(Upload(request.receive, lessons.limits, declared=declared_length(request))) as upload:
                asked, fields = await _read(Request(request.scope, upload.receive))
            order = order_of(fields.pop("order", None))
            choice = Choice().changed(fields)
            waits = not place.taken  # asked once: it may be granted at each await from here on
            if not waits:
                slot.enter_context(lessons.turn())
            of = {"route": ROUTE, "turn_id": turn_id_of(request.headers), "owner": client.owner}
            utterance = await lessons.utterance(asked, choice, order, **of)
            return EventStream(lessons, utterance, place, slot.pop_all(), waits=waits)


class EventStream(StreamingResponse):
    """The response that streams a turn's events. Frees `slot`, the turn's place, however the stream ends.

    With `waits` the turn is not counted yet: it begins once it is told that the place is its own.
    """

    def __init__(self, lessons: Lessons, utterance: Utterance, place: Place, slot: ExitStack, *, waits: bool) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        events = _events(lessons, utterance, place, slot, waits=waits)
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._slot:
            async with kept_alive(send) as send:
                await super().__call__(scope, receive, send)


async def _events(
    lessons: Lessons, utterance: Utterance, place: Place, slot: ExitStack, *, waits: bool
) -> AsyncGenerator[bytes, None]:
    if waits:
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


async def _read(request: Request) -> tuple[bytes | Typed, dict[str, Any]]:
    """What was said, recorded or typed, and the other fields, of a form or of a JSON object.

    Raises:
        BadAudio, InvalidField: it is neither, or both.
        TooLarge, TooSlow: as soon as too many bytes have come, or too few.
    """
    kind, _ = parse_options_header(request.headers.get("content-type", ""))
    if kind == b"application/json":
        recording, fields = None, fields_of_json(await request.body())
    else:
        recording, fields = await read_turn(request)
    text = fields.pop("text", None)
    if recording is not None and text is not None:
        raise InvalidField("Send a recording in 'audio' or what was typed in 'text', not both.")
    if recording is None and text is None:
        raise BadAudio("There is no recording: send it in the field 'audio', or a 'text'.", code="no_audio")
    return (typed(text), fields) if recording is None else (recording, fields)


def wait_of(request: Request) -> bool:
    """Whether the client would wait for a place: `?wait=true`."""
    value = request.query_params.get("wait", "false")
    if value not in ("true", "false"):
        raise InvalidField("wait must be true or false.")
    return value == "true"


def order_of(value: str | None) -> Order:
    if value in (None, ""):
        return "documented"
    if value not in get_args(Order):
        raise InvalidField(f"order must be one of: {', '.join(get_args(Order))}.")
    return cast(Order, value)
