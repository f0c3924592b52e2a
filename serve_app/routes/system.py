"""The routes that every stack has: is the process alive, can every stage serve, what runs here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from serve_app import __version__
from serve_app.config.stack import StackArgs
from serve_app.errors import ParleError
from serve_app.observe.observer import public_model
from serve_app.routes.lessons import Lessons
from serve_app.routes.readiness import Readiness

STAGE_ANSWER_S = 2

RefusedSettings = Callable[[], Awaitable[dict[str, str]]]
"""Why the latest `user_config` of a deployment is not in force, for each of which that is so."""


async def none_refused() -> dict[str, str]:
    """What a server says whose settings never change."""
    return {}


class SystemRoutes:
    """GET /healthz, /readyz and /api/info."""

    def __init__(self, args: StackArgs, lessons: Lessons, refused_settings: RefusedSettings = none_refused) -> None:
        self._args = args
        self._lessons = lessons
        self._refused_settings = refused_settings
        self._readiness = Readiness(lessons.ready)

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route("/healthz", self.health, summary="The process is alive")
        routes.add_api_route("/readyz", self.ready, summary="200 if every stage can serve, else 503; which ones can")
        routes.add_api_route("/api/info", self.info, summary="What runs here: stages, routes, voices, limits, activity")
        return routes

    async def health(self) -> dict[str, str]:
        return {"status": "ok"}

    async def ready(self) -> JSONResponse:
        stages = await self._readiness.stages()
        ready = all(stages.values()) and not self._lessons.presence.leaving
        store = self._lessons.store.health().reachable  # without it turns go on, so it is no reason to send none
        return JSONResponse({"ready": ready, "stages": stages, "store": store}, 200 if ready else 503)

    async def info(self) -> dict[str, Any]:
        lessons = self._lessons
        voices, refused = await asyncio.gather(_answer_or_none(lessons.voices()), self._refused_settings())
        stages = {
            name: {"engine": config.engine, "model": public_model(config), "num_gpus": config.num_gpus}
            for name, config in self._args.stages().items()
        }
        return {
            "name": "parle",
            "version": __version__,
            "stages": stages,
            "routes": self._args.routes,
            "voices": voices,
            "limits": lessons.limits.model_dump(),
            "turns": lessons.turns,
            "waiting": lessons.waiting,
            "sessions": lessons.sessions,
            "activity": lessons.presence.activity(),
            "store": asdict(lessons.store.health()),
            "refused_settings": refused,
        }


async def _answer_or_none(question: Awaitable[Any]) -> Any:
    """A stage's answer; None if it fails or takes too long, as /api/info must answer while a stage is down."""
    try:
        async with asyncio.timeout(STAGE_ANSWER_S):
            return await question
    except (TimeoutError, ParleError):
        return None
