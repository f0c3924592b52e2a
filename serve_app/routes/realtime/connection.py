"""One client of the Realtime protocol: its events in, those of its answers out."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import Any

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from serve_app.errors import InvalidField, ParleError, did_you_mean
from serve_app.lesson.events import Heard, Opened
from serve_app.protocols import STT_SAMPLE_RATE, Audio, Transcript
from serve_app.routes.choice import Choice
from serve_app.routes.dialogue import Dialogue
from serve_app.routes.gate import client_of
from serve_app.routes.lessons import Lessons
from serve_app.routes.realtime.floor import Floor
from serve_app.routes.realtime.formats import Intake
from serve_app.routes.realtime.item_events import (
    create_item,
    delete_item,
    joined,
    parsed,
    retrieve_item,
    tell_added,
    told_of,
    truncate_item,
)
from serve_app.routes.realtime.items import Item, Items, new_id
from serve_app.routes.realtime.listening import Listening, Utterance
from serve_app.routes.realtime.response import Response
from serve_app.routes.realtime.settings import RealtimeSettings, asked_of
from serve_app.turn_taking import FalseStart, SpeechStarted, SpeechStopped, TurnEvent

logger = logging.getLogger("ray.serve")

ROUTE = "realtime"
BEGINS = (Heard, Opened)
"""Events from which on the conversation has the turn."""
FAILED = ParleError("The server failed.", code="internal")


class RealtimeConnection:
    """`choice` is what the address asked for; the session's voice and speed come on top. `own`: Parle's events too."""

    def __init__(self, socket: WebSocket, lessons: Lessons, model: str, choice: Choice, *, own: bool) -> None:
        self._socket, self._lessons, self._model, self._own = socket, lessons, model, own
        self._choice = choice
        self._dialogue = Dialogue(lessons, client_of(socket.scope), ROUTE, socket.headers)
        self._settings = RealtimeSettings()
        self._items = Items(lessons.limits.max_audio_s)
        self._intake = Intake("audio/pcm")
        self._listening = Listening(self._hear, self._has_time, lessons.limits.max_audio_s)
        self._floor = Floor(self._listening)
        self._next_item = new_id("item")
        """Of the utterance that is being spoken."""
        self._response: Response | None = None
        self._last_reply = ""
        self._heard_reply: str | None = None
        """Of the last reply, where its rest was never heard."""
        self._handling = False
        self._handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "output_audio_buffer.clear": self._clear_output,
            "conversation.item.create": self._create_item,
            "conversation.item.delete": partial(delete_item, self._items, self._send),
            "conversation.item.retrieve": partial(retrieve_item, self._items, self._send),
            "conversation.item.truncate": self._truncate_item,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
        }

    @property
    def busy(self) -> bool:
        return self._handling or self._dialogue.running

    async def tell(self, message: str) -> None:
        """News of the server, which the protocol has no event for."""
        if self._own:
            fields = json.loads(message)
            await self._send({"type": f"parle.{fields.pop('event')}", **fields})

    async def dismiss(self, code: int, reason: str) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            await self._socket.close(code, reason)

    async def serve(self) -> None:
        """Handle events until the client leaves. Only `receive` notices that, so answers run in tasks beside it."""
        self._use_detector()
        await self._send({"type": "session.created", "session": self._view()})
        try:
            while (message := await self._socket.receive())["type"] == "websocket.receive":
                self._handling = True
                try:
                    await self._handle(message.get("text"), message.get("bytes"))
                finally:
                    self._handling = False
                await asyncio.sleep(0)  # many may be here at once: others of this process come in between
        finally:
            self._listening.close()
            self._floor.close()
            await self._dialogue.stop()

    async def _handle(self, text: str | None, binary: bytes | None) -> None:
        event_id = None
        try:
            event = parsed(text if text is not None else (binary or b"").decode("utf-8", "replace"))
            event_id = event.get("event_id") if isinstance(event.get("event_id"), str) else None
            handler = self._handlers.get(event["type"])
            if handler is None:
                raise InvalidField(
                    did_you_mean("event", event["type"], self._handlers), code="unknown_event", param="type"
                )
            await handler(event)
        except ParleError as error:
            await self._tell_error(error, event_id)
        except Exception:  # a fault of ours, of any kind: logged, and the client learns no details
            logger.exception("an event of the Realtime protocol failed")
            await self._tell_error(FAILED, event_id)

    # --- session -------------------------------------------------------------------------------------------

    async def _update(self, event: dict[str, Any]) -> None:
        changed = self._settings.changed(event.get("session"))
        await self._lessons.check_voice(changed.voice)
        if changed.audio.input.format != self._settings.audio.input.format:
            self._intake = Intake(changed.audio.input.format.type)
        self._settings = changed
        self._use_detector()
        self._lessons.presence.sign_of_life()
        await self._send({"type": "session.updated", "session": self._view()})

    def _use_detector(self) -> None:
        detection = self._settings.audio.input.turn_detection
        self._listening.use(detection.settings(self._lessons.turn_taking, self._floor.level) if detection else None)

    def _view(self) -> dict[str, Any]:
        return self._settings.view(self._choice.session_id or "", self._model)

    # --- the microphone ------------------------------------------------------------------------------------

    async def _append(self, event: dict[str, Any]) -> None:
        for happened, at_s in await self._listening.feed(self._intake.samples(event.get("audio"))):
            await self._follow(happened, at_s)

    async def _follow(self, event: TurnEvent, at_s: float) -> None:
        detection = self._settings.audio.input.turn_detection
        if detection is None:
            return
        match event:
            case SpeechStarted():
                self._lessons.presence.sign_of_life()
                started = {"audio_start_ms": round(1000 * at_s), "item_id": self._next_item}
                await self._send({"type": "input_audio_buffer.speech_started", **started})
                if detection.interrupt_response:
                    await self._interrupt("turn_detected")
            case SpeechStopped():
                ended_s = at_s - event.at_s + event.voice_end_s
                said = self._listening.utterance(at_s, ended_s)
                await self._speech_stopped(at_s)
                if said is not None:
                    await self._committed(said)
                    if detection.create_response:
                        await self._respond(None)
            case FalseStart():
                await self._speech_stopped(at_s)
                await self._send({"type": "input_audio_buffer.cleared"})
                self._next_item = new_id("item")
            case _:
                pass

    async def _speech_stopped(self, at_s: float) -> None:
        stopped = {"audio_end_ms": round(1000 * at_s), "item_id": self._next_item}
        await self._send({"type": "input_audio_buffer.speech_stopped", **stopped})

    async def _commit(self, _: dict[str, Any]) -> None:
        self._items.check_room(self._listening.seconds)
        said = self._listening.utterance()
        if said is None:
            raise InvalidField("There is no sound to commit.", code="input_audio_buffer_commit_empty")
        if (detector := self._listening.detector) is not None:
            detector.reset()
        await self._committed(said)

    async def _committed(self, said: Utterance) -> None:
        item = Item(self._next_item, "user", [{"type": "input_audio", "transcript": None}], asked=said.sound)
        self._next_item = new_id("item")
        self._items.check_room(len(said.sound.samples) / STT_SAMPLE_RATE)
        before = self._items.add(item)
        await self._send({"type": "input_audio_buffer.committed", "previous_item_id": before, "item_id": item.id})
        await tell_added(self._send, item, before)

    async def _clear(self, _: dict[str, Any]) -> None:
        self._listening.clear()
        await self._send({"type": "input_audio_buffer.cleared"})

    def _has_time(self) -> bool:
        return self._lessons.turns + self._lessons.waiting < self._lessons.limits.max_turns

    async def _hear(self, samples: Audio) -> Transcript:
        return await self._lessons.hear(samples, self._last_reply)

    # --- items ---------------------------------------------------------------------------------------------

    async def _create_item(self, event: dict[str, Any]) -> None:
        await create_item(self._items, self._send, self._intake.format, event)

    async def _truncate_item(self, event: dict[str, Any]) -> None:
        heard = await truncate_item(self._items, self._send, self._response, event)
        if heard is not None:
            self._heard_reply = heard
            self._floor.quiet()

    # --- answers -------------------------------------------------------------------------------------------

    async def _create_response(self, event: dict[str, Any]) -> None:
        if self._response is not None and self._response.active:
            raise InvalidField(
                "An answer is being given; cancel it first.", code="conversation_already_has_active_response"
            )
        settings, metadata = asked_of(event.get("response"), self._settings)
        await self._lessons.check_voice(settings.voice)
        await self._respond(metadata, settings)

    async def _respond(self, metadata: dict[str, str] | None, settings: RealtimeSettings | None = None) -> None:
        """Answer what of the learner's has no answer yet; where there is nothing, the tutor speaks first."""
        settings = settings or self._settings
        await self._interrupt("turn_detected")
        answers = self._items.unanswered()
        asked = [item.asked for item in answers]
        response = Response(self._send, self._items, settings, answers, metadata, own=self._own)
        self._response = response
        self._lessons.presence.sign_of_life()
        await response.begin()
        choice = self._choice.changed({"voice": settings.voice, "speed": settings.speed})
        await self._dialogue.begin(self._answer(response, asked, choice, silent=settings.silent))

    async def _answer(self, response: Response, asked: list[Any], choice: Choice, *, silent: bool) -> None:
        try:
            what = await joined(asked, self._hear)
            turn = self._dialogue.events(what, choice, silent=silent, heard_reply=self._heard_reply)
            async with aclosing(turn) as events:
                async for event in events:
                    if isinstance(event, BEGINS):
                        self._heard_reply = None
                    await response.take(event)
                    self._floor.follow(event, response)
        except ParleError as error:
            await response.refused(error)
        except Exception:  # a fault of ours, of any kind: logged, and the client learns no details
            logger.exception("an answer over the Realtime protocol failed")
            await response.refused(FAILED)
        self._last_reply = response.text or self._last_reply
        self._use_detector()

    async def _cancel_response(self, event: dict[str, Any]) -> None:
        response = self._response
        if response is None or not response.active or event.get("response_id", response.id) != response.id:
            raise InvalidField("No answer is being given.", code="response_cancel_not_active")
        await self._interrupt("client_cancelled")

    async def _clear_output(self, _: dict[str, Any]) -> None:
        await self._interrupt("client_cancelled")

    async def _interrupt(self, reason: str) -> None:
        """The tutor falls silent; what can have been heard of the answer stays."""
        response = self._response
        if response is None:
            return
        if response.active:
            await self._dialogue.stop()
            await response.end("cancelled", {"type": "cancelled", "reason": reason})
        elif response.plays_for_s > 0 and self._heard_reply is None:  # else the client has said what was heard
            self._heard_reply = response.said_by_now()
        self._floor.quiet()

    async def _tell_error(self, error: ParleError, event_id: str | None) -> None:
        await self._send({"type": "error", "error": told_of(error, event_id)})

    async def _send(self, event: dict[str, Any]) -> None:
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        with suppress(WebSocketDisconnect):  # the client has just gone: `receive` tells
            await self._socket.send_text(json.dumps({"event_id": new_id("event"), **event}, ensure_ascii=False))
