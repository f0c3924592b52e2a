"""GET /v1/models, and which names a request may call the stack's models by."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter

from serve_app.config.stack import StackArgs
from serve_app.errors import ParleError, did_you_mean
from serve_app.observe.observer import public_model
from serve_app.routes.api_docs import answers

Task = Literal["stt", "llm", "tts"]

ALIASES: dict[Task, tuple[str, ...]] = {
    "stt": ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"),
    "llm": ("gpt-4o", "gpt-4o-mini"),
    "tts": ("tts-1", "tts-1-hd", "gpt-4o-mini-tts"),
}
"""OpenAI's names, which clients have built in: each stands for the stack's own model of that stage."""


class Models:
    """The models of one stack by their names."""

    def __init__(self, args: StackArgs) -> None:
        stages = args.stages()
        self._own: dict[Task, str] = {task: public_model(stages[task]) or stages[task].engine for task in ALIASES}

    def known(self, task: Task, name: str | None) -> str:
        """The stack's own model for it; None asks for that anyhow.

        Raises:
            ParleError: it is not one of those that do this.
        """
        names = (self._own[task], *ALIASES[task])
        if name is None or name in names:
            return self._own[task]
        raise ParleError(did_you_mean("model", name, names), code="model_not_found", status=404, param="model")

    def router(self) -> APIRouter:
        routes = APIRouter()
        kinds = answers("application/json")
        summary = "The models of this stack and the names they answer to"
        routes.add_api_route("/v1/models", self.all, summary=summary, responses=kinds)
        routes.add_api_route("/v1/models/{model:path}", self.one, summary="One model", responses=kinds)
        return routes

    async def all(self) -> dict[str, Any]:
        return {"object": "list", "data": list(self._entries().values())}

    async def one(self, model: str) -> dict[str, Any]:
        entries = self._entries()
        if model not in entries:
            raise ParleError(did_you_mean("model", model, entries), code="model_not_found", status=404, param="model")
        return entries[model]

    def _entries(self) -> dict[str, dict[str, Any]]:
        """By name; `stage` and `alias_of` are ours."""
        entries: dict[str, dict[str, Any]] = {}
        for task, own in self._own.items():
            for name in (own, *ALIASES[task]):
                alias = {} if name == own else {"alias_of": own}
                entries[name] = {
                    "id": name,
                    "object": "model",
                    "created": 0,
                    "owned_by": "parle",
                    "stage": task,
                    **alias,
                }
        return entries
