"""OpenAI's API for single stages: transcription, speech, chat, and the list of models. See docs/openai.md."""

from __future__ import annotations

from fastapi import APIRouter

from serve_app.config.stack import StackArgs
from serve_app.routes.lessons import Lessons
from serve_app.routes.openai_chat import ChatRoute
from serve_app.routes.openai_models import Models
from serve_app.routes.openai_speech import SpeechRoute
from serve_app.routes.openai_transcriptions import TranscriptionRoute


class OpenAiRoutes:
    """Everything under /v1/ that is plain HTTP."""

    def __init__(self, args: StackArgs, lessons: Lessons) -> None:
        models = Models(args)
        self._parts = (models, *(kind(lessons, models) for kind in (TranscriptionRoute, SpeechRoute, ChatRoute)))

    def router(self) -> APIRouter:
        routes = APIRouter()
        for part in self._parts:
            routes.include_router(part.router())
        return routes
