"""The web application of a stack over stages without models, in a thread of its own; real connections, no Ray.

In front of it is what `parle serve` puts into Ray's proxy.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import uvicorn
from starlette.types import ASGIApp

from serve_app.config.stack import StackArgs
from serve_app.config.user_config import IngressSettings, TeachingSettings
from serve_app.launch import proxy
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.stage_protocols import ChatRequest, HearingRequest
from serve_app.observe.observer import Observer, stack_name
from serve_app.protocols import Audio, TextDelta, Transcript, Usage
from serve_app.routes import app_for
from serve_app.routes.lessons import Lessons
from serve_app.routes.presence import Presence
from serve_app.store.opening import open_store
from support.servers import free_port
from support.speech import VOICE_NAMES
from support.stages import House
from support.waiting import wait_for

Result = TypeVar("Result")

EVERYTHING: dict[str, Any] = {
    "routes": ["sse", "websocket", "web", "openai", "realtime", "pronunciation"],
    "cefr": {"engine": "lexical"},
}


@dataclass(frozen=True, slots=True)
class QuickExtras:
    """What the ways in ask of the stages beside turns."""

    house: House
    stages: tuple[str, ...]

    async def voices(self) -> list[str]:
        if "tts" in self.house.away:
            await asyncio.Event().wait()
        if self.house.tts.work.fails_with is not None:
            raise self.house.tts.work.fails_with
        return list(VOICE_NAMES)

    async def warm(self, conversation_id: str, history: tuple[Exchange, ...]) -> None: ...

    async def ready(self) -> dict[str, bool]:
        return {name: name not in self.house.away for name in self.stages}

    async def transcribe(self, audio: Audio, asked: HearingRequest) -> Transcript:
        return await self.house.stt.transcribe_as(audio, asked)

    def chat(self, request: ChatRequest) -> AsyncGenerator[TextDelta | Usage, None]:
        return self.house.llm.chat(request)

    async def work(self) -> dict[str, int]:
        return {work.name: work.made for work in self.house.works if work.name != "cefr"}


class Site:
    """The site and what a test does to it.

    All routes and all stages, unless `args` (those of a stack file) say otherwise; `port` is a free one by default.
    Conversations are kept in memory, or at the address `kept`.
    """

    def __init__(
        self, house: House | None = None, *, port: int | None = None, kept: str = "memory", **args: Any
    ) -> None:
        self.house = house or House()
        self.args = StackArgs.model_validate({**EVERYTHING, **args})
        self.port = port or free_port()
        self._kept = kept
        self.url = f"http://127.0.0.1:{self.port}"
        self.loop: asyncio.AbstractEventLoop
        self.presence: Presence
        self.lessons: Lessons
        self._up = threading.Event()
        self._server: uvicorn.Server
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._up.wait(30)
        wait_for(lambda: self._server.started, 30, "the site")

    async def _serve(self) -> None:
        args = self.args
        stages = self.house.stages(cefr=args.cefr is not None)
        extras = QuickExtras(self.house, tuple(args.stages()))
        self.store = await open_store(args.store, stack_name(args), {"PARLE_STORE_URL": self._kept})
        lessons = Lessons(stages, extras, self.store, args, Observer(args))
        # The replies are those that the tests know word for word.
        lessons.configure(IngressSettings(teaching=TeachingSettings(openings=False, recast=False, questions=False)))
        self.loop, self.presence, self.lessons = asyncio.get_running_loop(), lessons.presence, lessons
        app: ASGIApp = app_for(args, lessons)
        for middleware in proxy.middlewares():
            app = middleware.cls(app, *middleware.args, **middleware.kwargs)
        config = uvicorn.Config(app, "127.0.0.1", self.port, log_level="error", ws="websockets-sansio")
        self._server = uvicorn.Server(config)
        self._up.set()
        await self._server.serve()
        await self.store.close()

    def run(self, what: Coroutine[Any, Any, Result]) -> Result:
        """On the site's loop, as a call through Ray's handle is."""
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(30)

    def warn(self, in_s: float = 60) -> None:
        self.run(self.presence.warn(in_s))

    def close(self) -> bool:
        return self.run(self.presence.close())

    def reopen(self) -> None:
        self.run(self.presence.reopen())

    def stop(self) -> None:
        """As the operator does: running turns may finish within `limits.stop_s`."""

        async def begin() -> None:
            self.lessons.stop()

        self.run(begin())

    def stopped(self) -> bool:
        return self.lessons.stop().done

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=30)

    def info(self) -> dict[str, Any]:
        return self.get("/api/info").raise_for_status().json()

    def activity(self) -> dict[str, Any]:
        return self.info()["activity"]

    def wait_until_idle(self, seconds: float = 10) -> None:
        """Until no turn runs and no stage is at work."""
        wait_for(lambda: self.activity()["turns"] == 0 and self.house.running() == 0, seconds, "the end of all turns")

    def wait_for_sessions(self, count: int) -> None:
        wait_for(lambda: self.activity()["sessions"] == count, 30, f"{count} sessions")

    def abort(self) -> None:
        """Every connection breaks off."""

        async def abort() -> None:
            for connection in tuple(self._server.server_state.connections):
                connection.transport.abort()

        self.run(abort())

    def die(self) -> None:
        """As a killed process does: every connection breaks off, and nobody listens any more."""
        self.abort()
        self.end()

    def end(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)


@contextmanager
def site_of(house: House | None = None, **args: Any) -> Iterator[Site]:
    """A site until the block is left."""
    site = Site(house, **args)
    try:
        yield site
    finally:
        site.end()
