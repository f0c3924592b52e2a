"""/ws/stream: one connection, many turns; a binary message is an utterance, audio comes back binary."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from contextlib import ExitStack, aclosing
from typing import Any

from fastapi import APIRouter, WebSocket
from starlette.types import Message
from starlette.websockets import WebSocketState

from serve_app.errors import Busy, InvalidField, ParleError, Stopping
from serve_app.lesson.events import websocket as message_of
from serve_app.routes.lessons import Choice, Lessons, name_of_turn
from serve_app.routes.presence import GOING_AWAY

logger = logging.getLogger("ray.serve")

ROUTE = "websocket"
PATH = "/ws/stream"
NO_ROUTE = 4404
TRY_AGAIN_LATER = 1013


def router(lessons: Lessons) -> APIRouter:
    routes = APIRouter()

    @routes.websocket(PATH)
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        connection = Connection(socket, lessons)
        try:
            with ExitStack() as held:
                with lessons.refusals(ROUTE):
                    held.enter_context(lessons.session_slot(connection))
                await connection.serve()
        except Busy as error:
            await socket.send_text(_error(error))
            if isinstance(error, Stopping):
                await socket.close(GOING_AWAY, "stopping")
            else:
                await socket.close(TRY_AGAIN_LATER, "full")

    return routes


def closed_router() -> APIRouter:
    """Where the stack has no WebSocket: refused before it is accepted."""
    routes = APIRouter()

    @routes.websocket(PATH)
    async def refuse(socket: WebSocket) -> None:
        await socket.close(NO_ROUTE, "this stack has no WebSocket route")

    return routes


class Connection:
    """One client. At most one turn runs; a new utterance or `cancel` stops it first."""

    def __init__(self, socket: WebSocket, lessons: Lessons) -> None:
        self._socket = socket
        self._lessons = lessons
        self._choice = Choice(session_id=uuid.uuid4().hex)
        self._turn: asyncio.Task[None] | None = None
        self._turns = 0

    async def serve(self) -> None:
        """Until the client goes. Only `receive` learns of that, so something always waits in it."""
        try:
            while (message := await self._socket.receive())["type"] == "websocket.receive":
                self._lessons.presence.sign_of_life()
                try:
                    with self._lessons.refusals(ROUTE):
                        await self._take(message)
                except ParleError as error:
                    await self._send(_error(error))
        finally:
            await self._stop_turn()

    async def _take(self, message: Message) -> None:
        recording = message.get("bytes")
        if recording is not None:
            if await self._stop_turn():
                await self._send(json.dumps({"event": "cancelled"}))
            self._turn = asyncio.create_task(self._answer(recording, self._choice))
            return
        await self._obey(_command(message.get("text") or ""))

    async def _obey(self, command: dict[str, Any]) -> None:
        match command.pop("type", None):
            case "cancel":
                await self._stop_turn()
                await self._send(json.dumps({"event": "cancelled"}))
            case "settings":
                choice = self._choice.changed(command)
                await self._lessons.check_voice(choice.voice)
                self._choice = choice if choice.session_id else choice.changed({"session_id": uuid.uuid4().hex})
                await self._send(json.dumps({"event": "settings", **self._choice.model_dump()}))
            case other:
                raise InvalidField(f"Unknown message type {other!r}; send 'settings' or 'cancel', or audio as binary.")

    async def _answer(self, recording: bytes, choice: Choice) -> None:
        """One turn, from recording to `complete` or `error`; the connection lives on whatever it is."""
        try:
            with ExitStack() as held:
                with self._lessons.refusals(ROUTE):
                    held.enter_context(self._lessons.turn_slot())
                    self._turns += 1
                    turn_id = name_of_turn(self._socket.headers, self._turns)
                    utterance = await self._lessons.utterance(recording, choice, "eager", route=ROUTE, turn_id=turn_id)
                async with aclosing(self._lessons.events(utterance)) as events:
                    async for event in events:
                        await self._send(message_of(event))
        except ParleError as error:
            await self._send(_error(error))
        except Exception:  # the turn's outermost edge here: nothing of it reaches the client
            logger.exception("a WebSocket turn failed")
            await self._send(_error(ParleError("The server failed; please say that again.")))

    async def _stop_turn(self) -> bool:
        """End the running turn and everything it has running; whether there was one."""
        turn, self._turn = self._turn, None
        if turn is None or turn.done():
            return False
        turn.cancel()
        await asyncio.wait([turn])
        return True

    async def tell(self, message: str) -> None:
        """Send what no message of the client's asked for."""
        await self._send(message)

    async def dismiss(self, code: int, reason: str) -> None:
        """Close from our side; `serve` ends once the client knows."""
        if self._socket.application_state is WebSocketState.CONNECTED:
            await self._socket.close(code, reason)

    async def _send(self, message: str | bytes) -> None:
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        if isinstance(message, bytes):
            await self._socket.send_bytes(message)
        else:
            await self._socket.send_text(message)


def _command(text: str) -> dict[str, Any]:
    try:
        command = json.loads(text)
    except ValueError:
        command = None
    if not isinstance(command, dict):
        raise InvalidField('A text message must be a JSON object, such as {"type": "cancel"}.')
    return command


def _error(error: ParleError) -> str:
    """An error outside a turn's events, in the same form; `stage` is "request" where no stage is to blame."""
    return json.dumps({"event": "error", "stage": "request", **error.body()}, ensure_ascii=False)
