"""POST /v1/audio/speech: text in, speech out while it is being made."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from serve_app.errors import InvalidField
from serve_app.protocols import Speech
from serve_app.routes.api_docs import answers, body_of
from serve_app.routes.lessons import Lessons, turn_id_of
from serve_app.routes.openai_models import Models
from serve_app.routes.openai_requests import (
    ROUTE,
    SSE_TYPE,
    PlacedStream,
    begun,
    failed_event,
    fields_of,
    receive_json,
    sse,
)
from serve_app.routes.speech_formats import FORMATS, SpeechEncoder, SpeechFormat, media_type
from serve_app.sentences import speakable

THEIR_VOICES = frozenset(
    ("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse")
)
"""OpenAI's voices, which clients have built in: each stands for the stack's own voice."""
MOST_CHARACTERS = 4096
"""OpenAI's limit."""
REFUSED: dict[str, tuple[Any, ...]] = {"instructions": ("",)}


class SpeechFields(BaseModel):
    """What a client may ask for."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True)

    model: str | None = None
    """A name from /v1/models."""
    input: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]
    """The text to speak."""
    voice: str | dict[Literal["id"], str] | None = None
    """One of `voices` in /api/info; a name of OpenAI's voices stands for the stack's own."""
    response_format: SpeechFormat = "mp3"
    """All of them are mono at 24 kHz; `pcm` is 16 bit, little-endian."""
    speed: Annotated[float, Field(ge=0.5, le=2)] | None = None
    """Without it the stack's."""
    stream_format: Literal["audio", "sse"] = "audio"
    """`sse`: the file in base64, part by part, as events."""


class SpeechRoute:
    """POST /v1/audio/speech."""

    def __init__(self, lessons: Lessons, models: Models) -> None:
        self._lessons = lessons
        self._models = models

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route(
            "/v1/audio/speech",
            self.speech,
            methods=["POST"],
            response_class=StreamingResponse,
            summary="Text to speech, in OpenAI's form",
            responses=answers(*map(media_type, FORMATS), SSE_TYPE, description="The speech, while it is being made"),
            openapi_extra=body_of(
                "application/json",
                SpeechFields,
                """curl -d '{"input": "Oi, tudo bem?", "voice": "pf_dora"}' -o resposta.mp3 """
                "http://127.0.0.1:8000/v1/audio/speech",
            ),
        )
        return routes

    async def speech(self, request: Request) -> PlacedStream:
        lessons = self._lessons
        with ExitStack() as slot:
            with lessons.refusals(ROUTE):
                given = await receive_json(request, lessons, slot)
                fields = fields_of(SpeechFields, given, refused=REFUSED, ignored=())
                self._models.known("tts", fields.model)
                if not speakable(fields.input):
                    raise InvalidField("input: there is nothing in it that can be spoken.", param="input")
                voice = await self._voice(fields.voice)
            lessons.presence.sign_of_life()
            spoken = lessons.single.speak(fields.input, voice, fields.speed, turn_id_of(request.headers))
            pieces = await begun(request.receive, spoken)
            encoder = SpeechEncoder(fields.response_format)
            if fields.stream_format == "sse":
                body, kind = _events(pieces, encoder), SSE_TYPE
            else:
                body, kind = file_of(pieces, encoder), media_type(fields.response_format)
            return PlacedStream(body, kind, slot.pop_all(), lessons.limits.turn_s)

    async def _voice(self, asked: str | dict[Literal["id"], str] | None) -> str | None:
        """The voice for the stage; None is the stack's own.

        Raises:
            InvalidField: there is no such voice.
        """
        name = asked.get("id") if isinstance(asked, dict) else asked
        if not name:
            return None
        try:
            await self._lessons.check_voice(name)
        except InvalidField as error:
            if name in THEIR_VOICES:
                return None
            raise InvalidField(error.message, code="invalid_value", param="voice") from None
        return name


async def file_of(pieces: AsyncGenerator[Speech, None], encoder: SpeechEncoder) -> AsyncGenerator[bytes, None]:
    """A failure in the middle breaks the connection off: what came must not pass for the whole.

    All calls of the encoder are of one thread. One that runs goes on when its reader is cancelled, and the encoder must
    not be closed under it.
    """
    loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1, "speech-encoder")
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if data := await loop.run_in_executor(thread, encoder.encode, piece):
                    yield data
        if data := await loop.run_in_executor(thread, encoder.finish):
            yield data
    finally:
        thread.submit(encoder.close)
        thread.shutdown(wait=False)


async def _events(pieces: AsyncGenerator[Speech, None], encoder: SpeechEncoder) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(file_of(pieces, encoder)) as parts:
            async for part in parts:
                yield sse({"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()})
    except Exception as error:  # noqa: BLE001 - the answer has begun: its last event says what failed
        yield failed_event("speech", error)
        return
    # Voices have no tokens.
    yield sse({"type": "speech.audio.done", "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}})
