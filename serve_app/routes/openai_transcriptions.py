"""POST /v1/audio/transcriptions: a recording in, what was said out."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import ExitStack
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, PlainTextResponse, Response

from serve_app.audio import duration_s
from serve_app.errors import BadAudio, InvalidField, did_you_mean
from serve_app.lesson.stage_protocols import HearingRequest
from serve_app.protocols import STT_SAMPLE_RATE, Transcript
from serve_app.routes.api_docs import answers, body_of
from serve_app.routes.gate import client_of
from serve_app.routes.lessons import Lessons, turn_id_of
from serve_app.routes.openai_models import Models
from serve_app.routes.openai_requests import (
    DONE,
    ROUTE,
    SSE_TYPE,
    PlacedStream,
    fields_of,
    length_of,
    sse,
    while_there,
)
from serve_app.routes.transcript_formats import joined, languages, segments, srt, usage, verbose, vtt
from serve_app.routes.upload import Upload
from serve_app.routes.upload_form import read_form

LISTS = (
    "timestamp_granularities",
    "include",
    "keywords",
    "languages",
    "known_speaker_names",
    "known_speaker_references",
)
"""Fields that may be sent several times, with or without `[]`."""
REFUSED: dict[str, tuple[Any, ...]] = {
    "temperature": ("0", "0.0"),
    "chunking_strategy": ("auto", '"auto"'),
    **{name: ([],) for name in LISTS[1:]},
}
MOST_PROMPT = 1000
"""Characters; Whisper reads the last 224 tokens."""

Format = Literal["json", "text", "srt", "verbose_json", "vtt"]


class TranscriptionFields(BaseModel):
    """What a client may ask for."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    model: str | None = None
    """A name from /v1/models."""
    language: str | None = None
    """Its ISO 639-1 code; without it those of the stack."""
    prompt: Annotated[str, Field(max_length=MOST_PROMPT)] | None = None
    """What was said before, or names to expect."""
    response_format: Format = "json"
    """`verbose_json` has times; `srt` and `vtt` are subtitles."""
    timestamp_granularities: list[Literal["word", "segment"]] = Field(default=["segment"])
    """For `verbose_json`; sent as `timestamp_granularities[]`."""
    stream: bool = False
    """The sentences as events."""

    @field_validator("language")
    @classmethod
    def _by_its_code(cls, language: str | None) -> str | None:
        name = (language or "").strip().lower()
        codes = languages()
        if not name or name in codes:
            return name or None
        for code, full in codes.items():
            if full == name:
                return code
        raise ValueError(did_you_mean("language", name, codes))


class TranscriptionRoute:
    """POST /v1/audio/transcriptions."""

    def __init__(self, lessons: Lessons, models: Models) -> None:
        self._lessons = lessons
        self._models = models

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route(
            "/v1/audio/transcriptions",
            self.transcriptions,
            methods=["POST"],
            response_class=Response,
            summary="Speech to text, in OpenAI's form",
            responses=answers("application/json", "text/plain", "text/vtt", SSE_TYPE, description="What was said"),
            openapi_extra=body_of(
                "multipart/form-data",
                TranscriptionFields,
                "curl -F file=@pergunta.wav -F model=whisper-1 http://127.0.0.1:8000/v1/audio/transcriptions",
                file="file",
            ),
        )
        return routes

    async def transcriptions(self, request: Request) -> Response:
        lessons = self._lessons
        with ExitStack() as slot:
            with lessons.refusals(ROUTE):
                client = client_of(request.scope)
                slot.enter_context(lessons.shares.turn(client))
                place = slot.enter_context(lessons.place(client))
                with place.uploading(Upload(request.receive, lessons.limits, declared=length_of(request))) as upload:
                    recording, given = await _read(Request(request.scope, upload.receive))
                fields = fields_of(TranscriptionFields, given, refused=REFUSED, ignored=())
                self._models.known("stt", fields.model)
                if "timestamp_granularities" in given and fields.response_format != "verbose_json":
                    message = "timestamp_granularities needs response_format 'verbose_json'."
                    raise InvalidField(message, code="invalid_value", param="timestamp_granularities")
                slot.enter_context(lessons.turn())
                samples = await lessons.decode(recording)
            asked = HearingRequest(fields.language, fields.prompt or None)
            hearing = lessons.single.transcribe(samples, asked, turn_id_of(request.headers))
            heard = await while_there(request.receive, hearing)
            if fields.stream:
                return PlacedStream(_events(heard), SSE_TYPE, slot.pop_all(), lessons.limits.turn_s)
            return _answer(heard, duration_s(samples, STT_SAMPLE_RATE), fields)


def _answer(heard: Transcript, seconds: float, fields: TranscriptionFields) -> Response:
    match fields.response_format:
        case "json":
            return JSONResponse({"text": heard.text, "usage": usage(seconds)})
        case "verbose_json":
            return JSONResponse(verbose(heard, seconds, fields.timestamp_granularities))
        case "text":
            return PlainTextResponse(f"{heard.text}\n")
        case "srt":
            return PlainTextResponse(srt(heard))
        case "vtt":
            return Response(vtt(heard), media_type="text/vtt; charset=utf-8")


async def _events(heard: Transcript) -> AsyncGenerator[bytes, None]:
    """Sentence by sentence. Whisper hears the whole recording first, so they all come at once."""
    parts = [one.text for one in segments(heard.words)]
    if joined(heard.words) != heard.text:
        parts = [heard.text] if heard.text else []
    for number, part in enumerate(parts):
        yield sse({"type": "transcript.text.delta", "delta": f" {part}" if number else part})
    yield sse({"type": "transcript.text.done", "text": heard.text})
    yield DONE


async def _read(request: Request) -> tuple[bytes, dict[str, Any]]:
    """The recording and the other fields of the form.

    Raises:
        BadAudio: there is no recording, or the form cannot be read.
        TooLarge, TooSlow: as soon as too many bytes have come, or too few.
        InvalidField: a field was sent twice or as a file.
    """
    given: dict[str, Any] = {}
    recording: bytes | None = None
    form = await read_form(request, max_files=1, max_fields=40, field="file")
    try:
        for sent, value in form.multi_items():
            name = sent.partition("[")[0]  # `[]` of a list, `[type]` of an object
            if name == "file":
                if not isinstance(value, UploadFile) or recording is not None:
                    raise BadAudio("'file' must be one file: give its part a filename.", code="no_audio", param="file")
                recording = await value.read()
            elif isinstance(value, UploadFile) or (name in given and name not in LISTS):
                raise InvalidField(f"The field '{name}' must be sent once, as text.", param=name)
            elif name in LISTS:
                given.setdefault(name, []).extend(_listed(value))
            else:
                given[name] = value
    finally:
        await form.close()
    if recording is None:
        raise BadAudio("There is no recording: send it in the field 'file'.", code="no_audio", param="file")
    return recording, {name: value for name, value in given.items() if value != ""}


def _listed(value: str) -> list[Any]:
    """One of several values; some clients send them all as one JSON list."""
    if value.startswith("["):
        try:
            values = json.loads(value)
        except (ValueError, RecursionError):
            return [value]
        return values if isinstance(values, list) else [value]
    return [value] if value else []
