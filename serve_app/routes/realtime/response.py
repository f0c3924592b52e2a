"""One answer of the tutor, told in the protocol's events."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from serve_app.errors import Busy, ParleError
from serve_app.lesson.events import (
    Complete,
    Corrected,
    Delta,
    Event,
    Failed,
    Heard,
    InScenario,
    Level,
    Placed,
    Spoken,
    Summarised,
)
from serve_app.protocols import Usage
from serve_app.routes.realtime.formats import Outlet
from serve_app.routes.realtime.items import Item, Items, new_id
from serve_app.routes.realtime.settings import RealtimeSettings

Send = Callable[[dict[str, Any]], Awaitable[None]]
Status = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]
NOTHING_SAID = "no_speech"
"""A response to it is cancelled, not failed: clients end a session whose response fails."""
OWN = (Corrected, Level, InScenario, Placed, Summarised)
"""What only Parle's events tell: sent as `parle.NAME` to a client that asked for it."""


@dataclass(slots=True)
class _Piece:
    text: str
    begins_ms: float
    ms: float


class Response:
    """`answers`: the learner's items. `own`: whether the client wants Parle's own events too."""

    def __init__(
        self,
        send: Send,
        items: Items,
        settings: RealtimeSettings,
        answers: list[Item],
        metadata: dict[str, Any] | None,
        *,
        own: bool,
    ) -> None:
        self._send, self._items, self._settings, self._answers, self._own = send, items, settings, answers, own
        self._metadata = metadata
        self._outlet = Outlet(settings.audio.output.format.type)
        self.id = new_id("resp")
        self.item = Item(new_id("item"), "assistant", status="in_progress")
        self.text = ""
        self.status: Status = "in_progress"
        self.level: str | None = None
        self._pieces: list[_Piece] = []
        self._audio_ms = 0.0
        self._began_playing: float | None = None
        self._part_open = False
        self._usage: Usage | None = None

    @property
    def active(self) -> bool:
        return self.status == "in_progress"

    @property
    def plays_for_s(self) -> float:
        """How long somebody who plays the sound as it comes has still something to hear."""
        if self._began_playing is None:
            return 0.0
        return max(0.0, self._began_playing + self._audio_ms / 1000 - time.perf_counter())

    async def begin(self) -> None:
        await self._send({"type": "response.created", "response": self._view()})

    async def take(self, event: Event) -> None:
        """Tell the client of one event of the turn."""
        match event:
            case Heard():
                await self._heard(event)
            case Delta(text=text):
                await self._written(text)
            case Spoken():
                await self._spoken(event)
            case Complete():
                self._usage = event.usage
                await self.end("completed")
            case Failed():
                self._answered()
                await self.failed(event.code, event.message)
            case Level():
                self.level = event.level
            case _:
                pass
        if self._own and isinstance(event, OWN):
            await self._send({"type": f"parle.{event.name}", "response_id": self.id, **event.data()})

    async def failed(self, code: str, message: str) -> None:
        if code == NOTHING_SAID:
            for item in self._answers:
                await self._send(
                    {
                        "type": "conversation.item.input_audio_transcription.failed",
                        "item_id": item.id,
                        "content_index": 0,
                        "error": {"type": "transcription_error", "code": code, "message": message},
                    }
                )
            await self.end("cancelled", {"type": "cancelled", "reason": "turn_detected"})
        else:
            await self.end("failed", {"type": "failed", "error": {"type": "server_error", "code": code}}, message)

    async def refused(self, error: ParleError) -> None:
        if not isinstance(error, Busy):  # what was said to a busy server still waits for an answer
            self._answered()
        await self.failed(error.code, error.message)

    async def end(self, status: Status, details: dict[str, Any] | None = None, message: str = "") -> None:
        """The last events of it; does nothing where it has ended."""
        if not self.active:
            return
        self.status = status
        self.item.status = "completed" if status == "completed" else "incomplete"
        if self._part_open:
            await self._close_part()
        if details is None and status != "completed":
            details = {"type": status}
        await self._send({"type": "response.done", "response": self._view(details)})
        if self._own and message:
            await self._send({"type": "parle.error", "response_id": self.id, "message": message})

    def said_until(self, ms: float) -> str:
        """The words whose sound was played in the first `ms` of the answer's audio."""
        words: list[str] = []
        for piece in self._pieces:
            if ms <= piece.begins_ms:
                break
            of = piece.text.split()
            words += of[: math.ceil(len(of) * min(1.0, (ms - piece.begins_ms) / piece.ms))] if piece.ms else of
        return " ".join(words)

    def said_by_now(self) -> str:
        """The words that can have been heard by somebody who plays the sound as it comes."""
        if self._began_playing is None:
            return ""
        return self.said_until(1000 * (time.perf_counter() - self._began_playing))

    def _answered(self) -> None:
        """The conversation has it now, or cannot. Until then it waits: for the next answer where this one is cut."""
        for item in self._answers:
            item.asked = None

    async def _heard(self, event: Heard) -> None:
        self._answered()
        transcript = event.transcript
        for item in self._answers:
            for part in item.content:
                if part["type"] != "input_audio":
                    continue
                part["transcript"] = transcript.text
                if self._settings.audio.input.transcription is not None:
                    ends = max((word.end for word in transcript.words), default=0.0)
                    await self._send(
                        {
                            "type": "conversation.item.input_audio_transcription.completed",
                            "item_id": item.id,
                            "content_index": 0,
                            "transcript": transcript.text,
                            "usage": {"type": "duration", "seconds": ends},
                        }
                    )

    async def _written(self, text: str) -> None:
        await self._open_part()
        self.text += text
        name = "response.output_text.delta" if self._settings.silent else "response.output_audio_transcript.delta"
        await self._send({"type": name, **self._place(), "delta": text})

    async def _spoken(self, event: Spoken) -> None:
        await self._open_part()
        if self._began_playing is None:
            self._began_playing = time.perf_counter()
        now_ms = 1000 * (time.perf_counter() - self._began_playing)
        if now_ms > self._audio_ms:  # the listener had nothing to hear for a while
            self._began_playing += (now_ms - self._audio_ms) / 1000
        ms = 1000 * len(event.samples) / event.sample_rate
        if self._pieces and self._pieces[-1].text == event.text:  # a piece of text may come in several parts
            self._pieces[-1].ms += ms
        else:
            self._pieces.append(_Piece(event.text, self._audio_ms, ms))
        self._audio_ms += ms
        delta = self._outlet.encoded(event.samples, event.sample_rate)
        await self._send({"type": "response.output_audio.delta", **self._place(), "delta": delta})

    async def _open_part(self) -> None:
        if self._part_open:
            return
        self._part_open = True
        before = self._items.add(self.item)
        item = self.item.view()
        await self._send(
            {"type": "response.output_item.added", "response_id": self.id, "output_index": 0, "item": item}
        )
        await self._send({"type": "conversation.item.added", "previous_item_id": before, "item": item})
        await self._send({"type": "response.content_part.added", **self._place(), "part": self._part("")})

    async def _close_part(self) -> None:
        if self._settings.silent:
            self.item.content = [{"type": "output_text", "text": self.text}]
            await self._send({"type": "response.output_text.done", **self._place(), "text": self.text})
        else:
            self.item.content = [{"type": "output_audio", "transcript": self.text}]
            await self._send({"type": "response.output_audio.done", **self._place()})
            await self._send(
                {"type": "response.output_audio_transcript.done", **self._place(), "transcript": self.text}
            )
        await self._send({"type": "response.content_part.done", **self._place(), "part": self._part(self.text)})
        item = self.item.view()
        await self._send({"type": "response.output_item.done", "response_id": self.id, "output_index": 0, "item": item})
        before = self._items.before(self.item)
        await self._send({"type": "conversation.item.done", "previous_item_id": before, "item": item})

    def _place(self) -> dict[str, Any]:
        return {"response_id": self.id, "item_id": self.item.id, "output_index": 0, "content_index": 0}

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": "text", "text": text} if self._settings.silent else {"type": "audio", "transcript": text}

    def _view(self, details: dict[str, Any] | None = None) -> dict[str, Any]:
        output = self._settings.audio.output
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": details,
            "output": [self.item.view()] if self._part_open else [],
            "output_modalities": self._settings.output_modalities,
            "audio": {"output": {"format": output.format.view(), "voice": output.voice or "alloy"}},
            "max_output_tokens": "inf",
            "metadata": self._metadata,
            "usage": _usage(self._usage),
        }


def _usage(of: Usage | None) -> dict[str, Any]:
    """The LLM's tokens. A reply that it did not write, or not to its end, has none."""
    read, cached, written = (of.prompt_tokens, of.cached_tokens, of.completion_tokens) if of else (0, 0, 0)
    return {
        "input_tokens": read,
        "input_token_details": {"text_tokens": read, "audio_tokens": 0, "cached_tokens": cached},
        "output_tokens": written,
        "output_token_details": {"text_tokens": written, "audio_tokens": 0},
        "total_tokens": read + written,
    }
