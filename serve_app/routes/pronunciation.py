"""POST /api/pronunciation: a recording and the sentence it repeats in, a score for each word out."""

from __future__ import annotations

import unicodedata
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from serve_app.errors import InvalidField, did_you_mean
from serve_app.routes.api_docs import answers, body_of
from serve_app.routes.gate import client_of
from serve_app.routes.lessons import Lessons, turn_id_of
from serve_app.routes.upload import Upload
from serve_app.routes.upload_form import declared_length, read_recording

ROUTE = "pronunciation"
PATH = "/api/pronunciation"

MOST_CHARACTERS = 240
MOST_WORDS = 30
"""Of a sentence: more is too long to be repeated in one breath, and to be compared in a few seconds."""


class SentenceFields(BaseModel):
    """The field of the form beside the recording."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    text: str = Field(max_length=MOST_CHARACTERS)
    """The sentence that was to be said; one that can be repeated in one breath."""


class PronunciationRoute:
    """POST /api/pronunciation. Takes a place as a turn does."""

    def __init__(self, lessons: Lessons) -> None:
        self._lessons = lessons

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route(
            PATH,
            self.pronunciation,
            methods=["POST"],
            response_class=JSONResponse,
            summary="A sentence that was repeated: a score for each of its words",
            responses=answers("application/json", description="The words"),
            openapi_extra=body_of(
                "multipart/form-data",
                SentenceFields,
                f"curl -F audio=@frase.wav -F 'text=Eu comi pão com queijo.' http://127.0.0.1:8000{PATH}",
                file="audio",
            ),
        )
        return routes

    async def pronunciation(self, request: Request) -> JSONResponse:
        lessons = self._lessons
        client = client_of(request.scope)
        with ExitStack() as slot:
            with lessons.refusals(ROUTE):
                slot.enter_context(lessons.shares.turn(client))
                place = slot.enter_context(lessons.place(client))
                upload = Upload(request.receive, lessons.limits, declared=declared_length(request))
                with place.uploading(upload):
                    recording, fields = await read_recording(Request(request.scope, upload.receive))
                text = sentence_in(fields)
                slot.enter_context(lessons.turn())
                said = await lessons.decode(recording)
            scores = await lessons.single.pronounced(said, text, turn_id_of(request.headers))
            return JSONResponse({"text": text, "words": [asdict(score) for score in scores]})


def sentence_in(fields: dict[str, Any]) -> str:
    """The sentence that was to be said.

    Raises:
        InvalidField: there is none, it is too long or holds no words, or there are other fields.
    """
    for name in fields:
        if name != "text":
            raise InvalidField(did_you_mean("field", name, ["text"]))
    text = unicodedata.normalize("NFC", " ".join(str(fields.get("text", "")).split()))
    if not any(map(str.isalpha, text)):
        raise InvalidField("text must be the sentence that was to be said.")
    if len(text) > MOST_CHARACTERS or len(text.split()) > MOST_WORDS:
        raise InvalidField(f"text must be one sentence: at most {MOST_WORDS} words and {MOST_CHARACTERS} characters.")
    return text
