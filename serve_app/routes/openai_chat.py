"""POST /v1/chat/completions: text chat with the stack's language model."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from serve_app.errors import StageFailed
from serve_app.lesson.stage_protocols import ChatRequest
from serve_app.protocols import TextDelta, Usage
from serve_app.routes.api_docs import answers, body_of
from serve_app.routes.lessons import Lessons, turn_id_of
from serve_app.routes.openai_chat_fields import IGNORED, REFUSED, ChatFields, as_dialogue
from serve_app.routes.openai_models import Models
from serve_app.routes.openai_requests import (
    DONE,
    ROUTE,
    SSE_TYPE,
    PlacedStream,
    begun,
    failed_event,
    fields_of,
    receive_json,
    sse,
    while_there,
)

Items = AsyncGenerator[TextDelta | Usage, None]


class ChatRoute:
    """POST /v1/chat/completions."""

    def __init__(self, lessons: Lessons, models: Models) -> None:
        self._lessons = lessons
        self._models = models

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route(
            "/v1/chat/completions",
            self.completions,
            methods=["POST"],
            response_class=Response,
            summary="Text chat with the tutor or, with a system message, with its model alone; in OpenAI's form",
            responses=answers("application/json", SSE_TYPE, description="The answer, or its events with `stream`"),
            openapi_extra=body_of(
                "application/json",
                ChatFields,
                """curl -N -d '{"messages": [{"role": "user", "content": "Oi!"}], "stream": true}' """
                "http://127.0.0.1:8000/v1/chat/completions",
            ),
        )
        return routes

    async def completions(self, request: Request) -> Response:
        lessons = self._lessons
        with ExitStack() as slot:
            with lessons.refusals(ROUTE):
                given = await receive_json(request, lessons, slot)
                fields = fields_of(ChatFields, given, refused=REFUSED, ignored=IGNORED)
                answer = Completion(self._models.known("llm", fields.model))
                asked = ChatRequest(
                    as_dialogue(fields.messages),
                    fields.most_tokens(lessons.limits.chat_tokens),
                    fields.temperature,
                    fields.top_p,
                    fields.seed,
                    tuple(fields.stop),
                )
            lessons.presence.sign_of_life()
            chat = lessons.single.chat(asked, turn_id_of(request.headers))
            try:
                items = await begun(request.receive, chat)
                if not fields.stream:
                    return JSONResponse(await while_there(request.receive, _whole(items, answer)))
            except StageFailed as error:
                if error.code == "context_full":
                    error.param = "messages"
                raise
            with_usage = fields.stream_options.include_usage
            return PlacedStream(_chunks(items, answer, with_usage), SSE_TYPE, slot.pop_all(), lessons.limits.turn_s)


@dataclass(frozen=True, slots=True)
class Completion:
    """What every part of one answer has in common."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, text: str, usage: Usage) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": usage.finish_reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": counted(usage)}

    def chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._head("chat.completion.chunk"), "choices": [choice]}

    def usage_chunk(self, usage: Usage) -> dict[str, Any]:
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": counted(usage)}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def counted(usage: Usage) -> dict[str, Any]:
    """Tokens; those of the tutor's prompt are among the cached ones."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


async def _whole(items: Items, answer: Completion) -> dict[str, Any]:
    text, usage = "", Usage(0, 0, 0, "stop")
    async with aclosing(items):
        async for item in items:
            if isinstance(item, Usage):
                usage = item
            else:
                text += item.text
    return answer.whole(text.strip(), usage)


async def _chunks(items: Items, answer: Completion, with_usage: bool) -> AsyncGenerator[bytes, None]:
    """The role, the text as it is written, the reason of its end, and the usage if it was asked for."""
    usage = Usage(0, 0, 0, "stop")
    begun_text = False
    yield sse(answer.chunk({"role": "assistant", "content": ""}))
    try:
        async with aclosing(items):
            async for item in items:
                if isinstance(item, Usage):
                    usage = item
                    continue
                text = item.text if begun_text else item.text.lstrip()
                begun_text = begun_text or bool(text)
                if text:
                    yield sse(answer.chunk({"content": text}))
    except Exception as error:  # noqa: BLE001 - the answer has begun: its last event says what failed
        yield failed_event("a chat answer", error)
        return
    yield sse(answer.chunk({}, usage.finish_reason))
    if with_usage:
        yield sse(answer.usage_chunk(usage))
    yield DONE
