"""A client of the Realtime protocol that takes nothing but what OpenAI's own types allow."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.sync.client import ClientConnection, connect

from serve_app.protocols import Audio
from support.clients import PATIENCE_S

EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


class RealtimeTalk:
    """One connection. Every event it gets is checked strictly against the SDK's union of events."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, kind: str, **fields: Any) -> None:
        self.connection.send(json.dumps({"type": kind, **fields}))

    def next(self) -> dict[str, Any]:
        event = json.loads(self.connection.recv(PATIENCE_S))
        assert event["event_id"]
        if not event["type"].startswith("parle."):
            known = EVENT.validate_python(event, strict=True)
            assert known.type == event["type"]
        return event

    def until(self, *kinds: str) -> list[dict[str, Any]]:
        """Up to the first event of one of these types."""
        events = [self.next()]
        while events[-1]["type"] not in kinds:
            events.append(self.next())
        return events

    def ask(self, text: str) -> list[dict[str, Any]]:
        """One whole answer to something typed."""
        content = [{"type": "input_text", "text": text}]
        self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        self.send("response.create")
        return self.until("response.done", "error")

    def append(self, samples: Audio, *, block: int = 2400) -> None:
        """Sound at 24 kHz, as a microphone delivers it."""
        whole = np.clip(samples * 32767, -32768, 32767).astype("<i2")
        for at in range(0, len(whole), block):
            audio = base64.b64encode(whole[at : at + block].tobytes()).decode()
            self.send("input_audio_buffer.append", audio=audio)


@contextmanager
def realtime(url: str, query: str = "model=parle", path: str = "/v1/realtime", **more: Any) -> Iterator[RealtimeTalk]:
    """An open connection, past its `session.created`."""
    address = url.replace("http", "ws", 1) + f"{path}?{query}"
    with connect(address, max_size=None, open_timeout=PATIENCE_S, max_queue=None, **more) as connection:
        talk = RealtimeTalk(connection)
        assert talk.next()["type"] == "session.created"
        yield talk


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """The types in order; neighbours of the same type once."""
    found = [event["type"] for event in events]
    return [kind for i, kind in enumerate(found) if i == 0 or found[i - 1] != kind]


def one(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    found = [event for event in events if event["type"] == kind]
    assert len(found) == 1, f"{len(found)} of {kind} in {kinds(events)}"
    return found[0]


def sound_of(events: list[dict[str, Any]]) -> Audio:
    """The speech of an answer, 16-bit PCM at 24 kHz."""
    chunks = [base64.b64decode(event["delta"]) for event in events if event["type"] == "response.output_audio.delta"]
    return np.frombuffer(b"".join(chunks), "<i2").astype(np.float32) / np.float32(32767)
