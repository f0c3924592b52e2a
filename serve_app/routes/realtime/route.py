"""GET /v1/realtime and /realtime: OpenAI's Realtime protocol over a WebSocket."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import ExitStack

from fastapi import APIRouter, WebSocket

from serve_app.errors import Busy, InvalidField, ParleError, Stopping
from serve_app.routes.choice import Choice
from serve_app.routes.gate import client_of
from serve_app.routes.lessons import Lessons
from serve_app.routes.realtime.connection import ROUTE, RealtimeConnection
from serve_app.turn_taking.models import turn_models

logger = logging.getLogger("ray.serve")

PATHS = ("/v1/realtime", "/realtime")
SUBPROTOCOL = "realtime"
FULL, WRONG = 1013, 4400
"""Close codes: try again later; the address asks for what cannot be."""
OF_ADDRESS = ("session_id", "level", "correction", "scenario", "learner_id")
"""What the address may choose; voice and speed are the session's."""


class RealtimeRoute:
    """The protocol's model is the stack; its name is not looked at."""

    def __init__(self, lessons: Lessons) -> None:
        self._lessons = lessons

    def router(self) -> APIRouter:
        routes = APIRouter()
        for path in PATHS:
            routes.add_api_websocket_route(path, self.stream)
        return routes

    async def stream(self, socket: WebSocket) -> None:
        offered = socket.scope.get("subprotocols", ())
        await socket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        query = socket.query_params
        try:
            choice = Choice().changed({name: query[name] for name in OF_ADDRESS if name in query})
            self._lessons.scenarios.check(choice.scenario)
            choice = choice if choice.session_id else choice.changed({"session_id": uuid.uuid4().hex})
            await asyncio.to_thread(turn_models)
            connection = RealtimeConnection(
                socket, self._lessons, query.get("model") or "parle", choice, own=query.get("parle") == "1"
            )
            with ExitStack() as slot:
                with self._lessons.refusals(ROUTE):
                    slot.enter_context(self._lessons.shares.session(client_of(socket.scope)))
                    slot.enter_context(self._lessons.session_slot(connection))
                await connection.serve()
        except Busy as error:
            if isinstance(error, Stopping):
                await socket.close(*self._lessons.presence.farewell)
            else:
                await socket.close(FULL, error.code)
        except (InvalidField, ParleError) as error:
            await socket.close(WRONG, error.message[:120])
