"""The web application of a stack in a thread of its own, over stages without models; no Ray."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import httpx
import uvicorn

from serve_app.config.stack import StackArgs
from serve_app.lesson.conversation import Exchange, MemoryStore
from serve_app.observe.observer import Observer
from serve_app.routes import app_for
from serve_app.routes.lessons import Lessons
from serve_app.routes.presence import Presence
from support.servers import free_port
from support.stages import House
from support.waiting import wait_for

Result = TypeVar("Result")


class Nothing:
    """What the ways in ask of stages beside turns, of stages that have nothing."""

    async def voices(self) -> list[str]:
        return []

    async def warm(self, history: tuple[Exchange, ...]) -> None: ...

    async def ready(self) -> dict[str, bool]:
        return {"stt": True}

    async def work(self) -> dict[str, int]:
        return {}


class Site:
    """The site and what a test does to it."""

    def __init__(self) -> None:
        self.house = House()
        self.url = f"http://127.0.0.1:{free_port()}"
        self.loop: asyncio.AbstractEventLoop
        self.presence: Presence
        self._up = threading.Event()
        self._server: uvicorn.Server
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._up.wait(10)
        wait_for(lambda: self._server.started, 10, "the site")

    async def _serve(self) -> None:
        args = StackArgs(routes=["sse", "websocket", "web"])
        lessons = Lessons(self.house.stages(cefr=False), Nothing(), MemoryStore(), args.limits, Observer(args))
        self.loop, self.presence = asyncio.get_running_loop(), lessons.presence
        port = int(self.url.rsplit(":", 1)[1])
        config = uvicorn.Config(app_for(args, lessons), "127.0.0.1", port, log_level="error", ws="websockets-sansio")
        self._server = uvicorn.Server(config)
        self._up.set()
        await self._server.serve()

    def run(self, what: Coroutine[Any, Any, Result]) -> Result:
        """On the site's loop, as a call through Ray's handle is."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(10)

    def warn(self, in_s: float = 60) -> None:
        self.run(self.presence.warn(in_s))

    def close(self) -> bool:
        return self.run(self.presence.close())

    def reopen(self) -> None:
        self.run(self.presence.reopen())

    def activity(self) -> dict[str, Any]:
        return httpx.get(f"{self.url}/api/info", timeout=10).json()["activity"]

    def wait_for_sessions(self, count: int) -> None:
        wait_for(lambda: self.activity()["sessions"] == count, 10, f"{count} sessions")

    def end(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
