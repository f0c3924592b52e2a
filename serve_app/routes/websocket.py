"""/ws/stream: one connection, many turns. Binary messages are audio, both ways; text messages are JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing, asynccontextmanager, suppress
from typing import Any

from fastapi import APIRouter, WebSocket
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect, WebSocketState

from serve_app.errors import Busy, InvalidField, ParleError, Stopping, shown
from serve_app.lesson.events import websocket as message_of
from serve_app.routes.asked import Asked, typed
from serve_app.routes.choice import Choice
from serve_app.routes.dialogue import Dialogue
from serve_app.routes.gate import client_of
from serve_app.routes.lessons import Lessons

logger = logging.getLogger("ray.serve")

ROUTE = "websocket"
PATH = "/ws/stream"
NO_ROUTE = 4404
TRY_AGAIN_LATER = 1013
COMMAND_CHARACTERS = 10_000
"""Longest text message; the longest that makes sense has a few hundred."""
FAILED = ParleError("The server failed; please say that again.")


class WebSocketRoute:
    """/ws/stream of a stack that has it."""

    def __init__(self, lessons: Lessons) -> None:
        self._lessons = lessons

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_websocket_route(PATH, self.stream)
        return routes

    async def stream(self, socket: WebSocket) -> None:
        await socket.accept()
        connection = Connection(socket, self._lessons)
        try:
            with ExitStack() as slot:
                with self._lessons.refusals(ROUTE):
                    slot.enter_context(self._lessons.shares.session(client_of(socket.scope)))
                    slot.enter_context(self._lessons.session_slot(connection))
                await connection.serve()
        except Busy as error:
            await socket.send_text(_error(error))
            if isinstance(error, Stopping):
                await socket.close(*self._lessons.presence.farewell)
            else:
                await socket.close(TRY_AGAIN_LATER, "full")


class ClosedWebSocketRoute:
    """/ws/stream of a stack without it: refused before the connection is accepted."""

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_websocket_route(PATH, self.refuse)
        return routes

    async def refuse(self, socket: WebSocket) -> None:
        await socket.close(NO_ROUTE, "this stack has no WebSocket route")


class Connection:
    """One connected client. At most one turn runs; a new utterance or `cancel` stops it first."""

    def __init__(self, socket: WebSocket, lessons: Lessons) -> None:
        self._socket = socket
        self._lessons = lessons
        self._dialogue = Dialogue(lessons, client_of(socket.scope), ROUTE, socket.headers)
        self._choice = Choice(session_id=uuid.uuid4().hex)
        self._choosing: asyncio.Task[None] | None = None
        """Settings whose voice is still being looked up."""
        self._handling = False
        self._wait = False
        """Whether its turns wait for a place where the server is full."""

    async def serve(self) -> None:
        """Handle messages until the client leaves. Only `receive` notices that, so turns run in tasks beside it."""
        try:
            while (message := await self._socket.receive())["type"] == "websocket.receive":
                self._handling = True
                try:
                    async with self._answering_errors():
                        with self._lessons.refusals(ROUTE):
                            await self._handle(message)
                finally:
                    self._handling = False
        finally:
            if self._choosing is not None:
                self._choosing.cancel()
            await self._dialogue.stop()

    async def _begin(self, asked: Asked) -> None:
        """A turn, in place of one that runs: the answer to what was recorded or typed, or the tutor unasked."""
        if await self._dialogue.stop():
            await self._send(json.dumps({"event": "cancelled"}))
        await self._dialogue.begin(self._answer(asked, self._choice, self._pending()))

    async def _handle(self, message: Message) -> None:
        recording = message.get("bytes")
        if recording is not None:
            await self._begin(recording)
            return
        await self._handle_command(_command(message.get("text") or ""))

    async def _handle_command(self, command: dict[str, Any]) -> None:
        match command.pop("type", None):
            case "cancel":
                self._lessons.presence.sign_of_life()
                await self._dialogue.stop()
                await self._send(json.dumps({"event": "cancelled"}))
            case "settings":
                self._wait = _flag("wait", command.pop("wait", self._wait))
                voice = self._choice.changed(command).voice
                if self._pending() is None and self._lessons.knows_voice(voice):
                    await self._choose(command)
                else:  # the stage is asked meanwhile: a `cancel` must not wait for it
                    self._choosing = asyncio.create_task(self._choose_later(command, self._pending()))
            case "start" | "finish" as kind:
                if command:
                    raise InvalidField(f"'{kind}' takes no fields; send 'settings' before it.")
                await self._begin(kind)
            case "say":
                said = typed(command.pop("text", None))
                if command:
                    raise InvalidField("'say' takes 'text' alone; send 'settings' before it.")
                await self._begin(said)
            case other:
                kind = shown(str(other))
                raise InvalidField(
                    f"Unknown message type '{kind}'; send settings, say, start, finish or cancel, or audio as binary."
                )

    def _pending(self) -> asyncio.Task[None] | None:
        return self._choosing if self._choosing is not None and not self._choosing.done() else None

    async def _choose(self, command: dict[str, Any]) -> None:
        choice = self._choice.changed(command)
        self._lessons.scenarios.check(choice.scenario)
        await self._lessons.check_voice(choice.voice)
        self._lessons.presence.sign_of_life()
        self._choice = choice if choice.session_id else choice.changed({"session_id": uuid.uuid4().hex})
        await self._send(json.dumps({"event": "settings", **self._choice.model_dump(), "wait": self._wait}))

    async def _choose_later(self, command: dict[str, Any], before: asyncio.Task[None] | None) -> None:
        """As `_choose`, after the settings that came before."""
        if before is not None:
            await asyncio.wait([before])
        async with self._answering_errors():
            with self._lessons.refusals(ROUTE):
                await self._choose(command)

    async def _answer(self, asked: Asked, choice: Choice, choosing: asyncio.Task[None] | None) -> None:
        """One turn, from recording to `complete` or `error`; the connection stays open either way.

        It waits for the settings that were sent before the recording.
        """
        if choosing is not None:
            await asyncio.wait([choosing])
            choice = self._choice
        turn = self._dialogue.events(asked, choice, wait=self._wait)
        async with self._answering_errors(), aclosing(turn) as events:
            async for event in events:
                await self._send(message_of(event))

    @asynccontextmanager
    async def _answering_errors(self) -> AsyncGenerator[None, None]:
        """Tells the client what fails in the block, so that one message does not end the connection."""
        try:
            yield
        except ParleError as error:
            await self._send(_error(error))
        except Exception:  # a fault of ours, of any kind: logged, and the client learns no details
            logger.exception("a WebSocket message failed")
            await self._send(_error(FAILED))

    @property
    def busy(self) -> bool:
        """Whether a turn is running, or a message being handled."""
        return self._handling or self._dialogue.running

    async def tell(self, message: str) -> None:
        """Send a message that does not answer one of the client's."""
        await self._send(message)

    async def dismiss(self, code: int, reason: str) -> None:
        """Close from our side; `serve` returns once the client has acknowledged it."""
        if self._socket.application_state is WebSocketState.CONNECTED:
            await self._socket.close(code, reason)

    async def _send(self, message: str | bytes) -> None:
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        with suppress(WebSocketDisconnect):  # the client has just gone: `receive` tells
            if isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_text(message)


def _command(text: str) -> dict[str, Any]:
    """The fields of a text message.

    Raises:
        InvalidField: it is too long, or no JSON object of plain values.
    """
    if len(text) > COMMAND_CHARACTERS:
        raise InvalidField(f"A text message may have {COMMAND_CHARACTERS} characters; send recordings as binary.")
    try:
        command = json.loads(text)
    except (ValueError, RecursionError):  # RecursionError: thousands of open brackets
        command = None
    if not isinstance(command, dict) or any(isinstance(value, (dict, list)) for value in command.values()):
        raise InvalidField('A text message must be a JSON object of plain values, such as {"type": "cancel"}.')
    return command


def _flag(name: str, value: Any) -> bool:
    if value not in (True, False, None):
        raise InvalidField(f"{name} must be true or false.")
    return bool(value)


def _error(error: ParleError) -> str:
    """An error outside a turn, in the form of the `error` event; `stage` is "request" unless a stage failed."""
    return json.dumps({"event": "error", "stage": "request", **error.body()}, ensure_ascii=False)
