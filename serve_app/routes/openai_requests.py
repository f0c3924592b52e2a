"""What OpenAI's routes share: reading a request, waiting for a stage while the client is there, streaming."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Collection, Coroutine, Mapping
from contextlib import ExitStack, aclosing
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from serve_app.errors import InvalidField, ParleError, TooLarge, did_you_mean
from serve_app.refusal import openai_body
from serve_app.routes.gate import client_of
from serve_app.routes.keep_alive import kept_alive
from serve_app.routes.lessons import Lessons
from serve_app.routes.upload import Upload

ROUTE = "openai"
JSON_MB = 1.0
"""Largest JSON body, in megabytes (1e6 bytes): more text than any model here reads."""
SSE_TYPE = "text/event-stream"
DONE = b"data: [DONE]\n\n"

logger = logging.getLogger("ray.serve")

Fields = TypeVar("Fields", bound=BaseModel)
T = TypeVar("T")


async def receive_json(request: Request, lessons: Lessons, slot: ExitStack) -> dict[str, Any]:
    """The JSON object of a request, once it has its place, which `slot` holds from then on.

    Raises:
        Busy, TooMany: there is no place.
        TooLarge, TooSlow: as soon as too many bytes have come, or too few.
        InvalidField: it is no JSON object.
    """
    client = client_of(request.scope)
    slot.enter_context(lessons.shares.turn(client))
    place = slot.enter_context(lessons.place(client))
    limits = lessons.limits.model_copy(update={"max_body_mb": JSON_MB})
    try:
        with place.uploading(Upload(request.receive, limits, declared=length_of(request))) as upload:
            body = await Request(request.scope, upload.receive).body()
    except TooLarge:
        raise TooLarge(f"The request is larger than {JSON_MB:g} MB.") from None
    slot.enter_context(lessons.turn())
    return parsed(body)


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object.

    Raises:
        InvalidField: it is none, or has text that is no Unicode.
    """
    try:
        fields = json.loads(body)
        json.dumps(fields, ensure_ascii=False).encode()  # half of a pair of surrogates fails here
    except (ValueError, RecursionError):  # RecursionError: thousands of open brackets
        fields = None
    if not isinstance(fields, dict):
        raise InvalidField("The body must be a JSON object in UTF-8.", code="invalid_json")
    return fields


def length_of(request: Request) -> int | None:
    """The declared size of the body; the HTTP server has checked that it is a number."""
    declared = request.headers.get("content-length")
    return None if declared is None else int(declared)


def fields_of(
    model: type[Fields], given: Mapping[str, Any], *, refused: Mapping[str, Collection[Any]], ignored: Collection[str]
) -> Fields:
    """The typed fields of a request; null is the same as leaving a field out.

    `refused` are OpenAI's fields that cannot be honoured here, with the values that ask for nothing; `ignored` are
    those that change nothing of the answer.

    Raises:
        InvalidField: an unknown field, one that is refused, or a wrong value.
    """
    known = {**dict.fromkeys(model.model_fields), **refused, **dict.fromkeys(ignored)}
    wanted: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise InvalidField(did_you_mean("field", name, known), code="unknown_parameter", param=name[:60])
        if name in refused and value is not None and not any(_same(value, one) for one in refused[name]):
            raise InvalidField(
                f"'{name}' cannot be honoured here; leave it out.", code="unsupported_parameter", param=name
            )
        if name in model.model_fields and value is not None:
            wanted[name] = value
    try:
        return model.model_validate(wanted)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        param = ".".join(str(part) for part in fault["loc"]) or None
        message = fault["msg"].removeprefix("Value error, ")
        raise InvalidField(f"{param}: {message}" if param else message, code="invalid_value", param=param) from None


def _same(value: Any, other: Any) -> bool:
    """Equal, and of the same kind: False is not 0."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


async def while_there(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns; it is cancelled as soon as the client is gone. The request's body has been read.

    Raises:
        ClientDisconnect: the client is gone.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.wait([working, leaving])


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def begun(receive: Receive, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    """The same items, of which the first is there: what is refused or fails before it can still be an HTTP error.

    Raises:
        ClientDisconnect: the client is gone; the items are closed.
    """
    try:
        first = await while_there(receive, _next(items))
    except BaseException:
        await items.aclose()
        raise
    return _again(first, items)


async def _next(items: AsyncGenerator[T, None]) -> T | None:
    return await anext(items, None)


async def _again(first: T | None, items: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    async with aclosing(items):
        if first is not None:
            yield first
        async for item in items:
            yield item


class PlacedStream(StreamingResponse):
    """A stream that frees `slot`, its place, however it ends; `send_s` is the longest wait for a client to read on."""

    def __init__(self, body: AsyncGenerator[bytes, None], media_type: str, slot: ExitStack, send_s: float) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(body, media_type=media_type, headers=headers)
        self._body = body
        self._slot = slot
        self._send_s = send_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def in_time(message: Message) -> None:
            async with asyncio.timeout(self._send_s):
                await send(message)

        with self._slot:
            async with aclosing(self._body):
                if self.media_type != SSE_TYPE:
                    return await super().__call__(scope, receive, in_time)
                async with kept_alive(in_time) as keeping:
                    return await super().__call__(scope, receive, keeping)


def sse(data: Mapping[str, Any]) -> bytes:
    """One server-sent event as OpenAI writes them: without a name."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def failed_event(what: str, error: Exception) -> bytes:
    """The last event of an answer that failed once begun. A fault of ours is logged whole, and told in general."""
    known = error if isinstance(error, ParleError) else ParleError("The server failed; please try again.")
    logger.warning("%s failed in the middle: %s", what, error, exc_info=known is not error)
    return sse(openai_body(known))
