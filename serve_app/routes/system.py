"""The routes that every stack has: is the process alive, can every stage serve, what runs here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from serve_app import __version__
from serve_app.config.stack import StackArgs
from serve_app.errors import ParleError
from serve_app.observe.observer import public_model
from serve_app.routes.lessons import Lessons

STAGE_ANSWER_S = 2


class SystemRoutes:
    """GET /healthz, /readyz and /api/info."""

    def __init__(self, args: StackArgs, lessons: Lessons) -> None:
        self._args = args
        self._lessons = lessons

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route("/healthz", self.health)
        routes.add_api_route("/readyz", self.ready)
        routes.add_api_route("/api/info", self.info)
        return routes

    async def health(self) -> dict[str, str]:
        return {"status": "ok"}

    async def ready(self) -> JSONResponse:
        stages = await self._lessons.ready()
        ready = all(stages.values())
        return JSONResponse({"ready": ready, "stages": stages}, 200 if ready else 503)

    async def info(self) -> dict[str, Any]:
        lessons = self._lessons
        stages = {
            name: {"engine": config.engine, "model": public_model(config), "num_gpus": config.num_gpus}
            for name, config in self._args.stages().items()
        }
        return {
            "name": "parle",
            "version": __version__,
            "stages": stages,
            "routes": self._args.routes,
            "voices": await _answer_or_none(lessons.voices()),
            "limits": lessons.limits.model_dump(),
            "turns": lessons.turns,
            "sessions": lessons.sessions,
            "activity": lessons.presence.activity(),
        }


async def _answer_or_none(question: Awaitable[Any]) -> Any:
    """A stage's answer; None if it fails or takes too long, as /api/info must answer while a stage is down."""
    try:
        async with asyncio.timeout(STAGE_ANSWER_S):
            return await question
    except (TimeoutError, ParleError):
        return None
