"""The routes that are always on: is the process alive, can every stage serve, what runs here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from serve_app import __version__
from serve_app.config.stack import StackArgs
from serve_app.errors import ParleError
from serve_app.routes.lessons import Lessons


async def known(asked: Awaitable[Any]) -> Any:
    """What a stage answers within two seconds, else None: this page must come even while a stage is down."""
    try:
        async with asyncio.timeout(2):
            return await asked
    except (TimeoutError, ParleError):
        return None


def router(args: StackArgs, lessons: Lessons) -> APIRouter:
    """/healthz, /readyz and /api/info."""
    routes = APIRouter()

    @routes.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/readyz")
    async def readyz() -> JSONResponse:
        stages = await lessons.ready()
        ready = all(stages.values())
        return JSONResponse({"ready": ready, "stages": stages}, 200 if ready else 503)

    @routes.get("/api/info")
    async def info() -> dict[str, Any]:
        stages = {
            name: {"engine": config.engine, "model": getattr(config, "model", None), "num_gpus": config.num_gpus}
            for name, config in args.stages().items()
        }
        return {
            "name": "parle",
            "version": __version__,
            "stages": stages,
            "routes": args.routes,
            "voices": await known(lessons.voices()),
            "limits": lessons.limits.model_dump(),
            "turns": lessons.turns,
            "sessions": lessons.sessions,
            "activity": lessons.presence.activity(),
            "work": await known(lessons.work()),
        }

    return routes
