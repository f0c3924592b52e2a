"""POST /api/stream-audio: one recording in, the turn as server-sent events out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, aclosing
from typing import Any, cast, get_args

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from serve_app.config.stack import Order
from serve_app.errors import BadAudio, InvalidField
from serve_app.lesson.events import sse
from serve_app.lesson.stage_protocols import Utterance
from serve_app.routes.lessons import Choice, Lessons, name_of_turn

ROUTE = "sse"
AUDIO_FIELDS = ("audio", "file")
FORM_OVERHEAD_BYTES = 64_000
"""What multipart boundaries and the other fields may add to the recording."""


class EventStream(StreamingResponse):
    """A turn being sent. Its place is given back however the sending ends."""

    def __init__(self, lessons: Lessons, utterance: Utterance, slot: AbstractContextManager[None]) -> None:
        async def body() -> AsyncGenerator[bytes, None]:
            async with aclosing(lessons.events(utterance)) as events:
                async for event in events:
                    yield sse(event)

        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(body(), media_type="text/event-stream", headers=headers)
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._slot.__exit__(None, None, None)


def router(lessons: Lessons) -> APIRouter:
    routes = APIRouter()

    @routes.post("/api/stream-audio")
    async def stream_audio(request: Request) -> StreamingResponse:
        lessons.presence.sign_of_life()  # the upload may take longer than an announced stop
        with lessons.refusals(ROUTE):
            recording, fields = await _read_form(request, lessons)
            order = _order(fields.pop("order", None))
            choice = Choice().changed(fields)
            turn_id = name_of_turn(request.headers)
            slot = lessons.turn_slot()
            slot.__enter__()
            try:
                utterance = await lessons.utterance(recording, choice, order, route=ROUTE, turn_id=turn_id)
                return EventStream(lessons, utterance, slot)
            except BaseException:
                slot.__exit__(None, None, None)
                raise

    return routes


async def _read_form(request: Request, lessons: Lessons) -> tuple[bytes, dict[str, Any]]:
    """The recording and the other fields.

    Raises:
        BadAudio: there is none.
        TooLarge: as soon as too many bytes have come, whatever the client declared.
        InvalidField: a field is sent twice or as a file.
    """
    request = Request(request.scope, _counted(request.receive, lessons))
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise BadAudio("Send the recording as multipart/form-data, in the field 'audio'.", code="no_audio")
    try:
        async with request.form(max_files=2, max_fields=20) as form:
            fields: dict[str, Any] = {}
            recording = None
            for name, value in form.multi_items():
                if name in AUDIO_FIELDS:
                    if not isinstance(value, UploadFile):
                        raise BadAudio(f"The field '{name}' must be a file, not text.", code="no_audio")
                    if recording is not None:
                        raise InvalidField("One recording at a time: the form has two.")
                    recording = await value.read()
                elif isinstance(value, UploadFile) or name in fields:
                    raise InvalidField(f"The field '{name}' must be sent once, as text.")
                else:
                    fields[name] = value
    except HTTPException as error:
        raise BadAudio(f"The form cannot be read: {error.detail}", code="bad_form") from None
    if recording is None:
        raise BadAudio("There is no recording: send it in the field 'audio'.", code="no_audio")
    return recording, fields


def _counted(receive: Receive, lessons: Lessons) -> Receive:
    """`receive`, but refusing once more bytes came than a recording may have."""
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        lessons.check_size(received - FORM_OVERHEAD_BYTES)
        return message

    return counting


def _order(value: str | None) -> Order:
    if value in (None, ""):
        return "documented"
    if value not in get_args(Order):
        raise InvalidField(f"order must be one of: {', '.join(get_args(Order))}.")
    return cast(Order, value)
