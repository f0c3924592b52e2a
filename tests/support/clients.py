"""Clients of a server under test: server-sent events over HTTP, and the WebSocket."""

from __future__ import annotations

import base64
import io
import json
import socket
import time
import wave
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
from websockets.sync.client import ClientConnection, connect

from serve_app.protocols import Audio

PATIENCE_S = 120.0
"""The longest wait for one event; a test that meets it fails."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event as a client got it. Audio that came as a binary message has `wav` only."""

    name: str
    data: dict[str, Any]
    wav: bytes = b""
    at: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, slots=True)
class Answer:
    """All events of one turn."""

    events: list[Event]

    @property
    def names(self) -> list[str]:
        """The events in order; a status with its stage, neighbours of the same kind once."""
        names = [f"status {event.data['stage']}" if event.name == "status" else event.name for event in self.events]
        return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]

    @property
    def last(self) -> Event:
        return self.events[-1]

    def all(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]

    def one(self, name: str) -> dict[str, Any]:
        """The data of the only event of that name."""
        found = self.all(name)
        assert len(found) == 1, f"{len(found)} events '{name}' in {self.names}"
        return found[0].data

    def audio(self) -> Audio:
        """All the pieces, one after the other, at their rate (24 kHz)."""
        return np.concatenate([samples_of(event.wav) for event in self.all("audio")])


def samples_of(wav_file: bytes) -> Audio:
    """What a player plays of one complete WAV file."""
    with wave.open(io.BytesIO(wav_file)) as opened:
        assert (opened.getnchannels(), opened.getsampwidth(), opened.getframerate()) == (1, 2, 24_000)
        frames = opened.readframes(opened.getnframes())
        assert len(frames) == 2 * opened.getnframes()
    return np.frombuffer(frames, "<i2").astype(np.float32) / np.float32(32767)


def error_of(turn: Answer) -> tuple[str, str]:
    """Code and stage of the error that the events end with."""
    assert set(turn.last.data) == {"code", "message", "stage"}
    return turn.last.data["code"], turn.last.data["stage"]


def answered_or_told(turn: Answer, *codes: str) -> None:
    """The turn was answered whole, or ended with one error of these codes that says what to do."""
    if turn.last.name == "error":
        code, _ = error_of(turn)
        assert code in codes
        assert "again" in turn.last.data["message"]
    else:
        assert turn.last.name == "complete"
        assert turn.one("complete")["response"] == turn.one("response")["response"] != ""
        assert turn.all("audio")
    assert len(turn.all("complete") + turn.all("error")) == 1


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code; the body holds these two fields and nothing else."""
    body = answer.json()
    assert set(body) == {"code", "message"}
    assert len(body["message"]) > 10
    return answer.status_code, body["code"]


# --- SSE ---------------------------------------------------------------------------------------------------


def post(
    url: str, recording: bytes | None, fields: dict[str, str] | None = None, *, name: str = "audio"
) -> httpx.Response:
    """Send a recording and read the answer to its end, whatever it is."""
    files = None if recording is None else {name: ("gravacao", recording)}
    return httpx.post(f"{url}/api/stream-audio", files=files, data=fields, timeout=PATIENCE_S)


def ask(url: str, recording: bytes, **fields: str) -> Answer:
    """One whole turn over SSE."""
    with asking(url, recording, **fields) as events:
        return Answer(list(events))


@contextmanager
def asking(url: str, recording: bytes, **fields: str) -> Iterator[Iterator[Event]]:
    """A turn over SSE, event by event; leaving the block closes the connection."""
    timeout = httpx.Timeout(PATIENCE_S)
    with httpx.stream(
        "POST", f"{url}/api/stream-audio", files={"audio": ("gravacao", recording)}, data=fields, timeout=timeout
    ) as response:
        if response.status_code != 200:
            response.read()
            raise AssertionError(f"HTTP {response.status_code}: {response.text}")
        assert response.headers["content-type"].startswith("text/event-stream")
        yield parse(response.iter_lines())


def parse(lines: Iterator[str]) -> Iterator[Event]:
    """The events of an SSE stream, read as strictly as wire.md writes them."""
    for line in lines:
        if line.startswith(":"):
            assert next(lines) == ""
            continue
        assert line.startswith("event: "), line
        data = next(lines)
        assert data.startswith("data: "), data
        assert next(lines) == ""
        fields = json.loads(data.removeprefix("data: "))
        chunk = fields.get("chunk")
        yield Event(line.removeprefix("event: "), fields, base64.b64decode(chunk, validate=True) if chunk else b"")


@contextmanager
def asked(url: str, path: str, body: dict[str, Any]) -> Iterator[None]:
    """A POST whose client hangs up at the end of the block, whether it is answered or not."""
    parts = urlsplit(url)
    with closing(HTTPConnection(str(parts.hostname), parts.port, timeout=30)) as connection:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        yield


class HalfSent:
    """A POST that has sent its headers, and of its body as much as the test likes."""

    def __init__(self, url: str, body: bytes = b"", length: int = 100_000, *, path: str = "/api/stream-audio") -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=30)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=XX\r\n"
        self.socket.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode() + body)

    def answer(self) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Status, headers and body of the answer."""
        text = b""
        while not text.endswith(b"}"):
            received = self.socket.recv(65536)
            assert received, "the connection was closed without an answer"
            text += received
        head, _, body = text.decode().partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return int(first.split()[1]), headers, json.loads(body)

    def __enter__(self) -> HalfSent:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


# --- WebSocket ---------------------------------------------------------------------------------------------


class Talk:
    """One WebSocket connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def say(self, recording: bytes) -> None:
        self._connection.send(recording)

    def tell(self, message: dict[str, Any] | str) -> None:
        self._connection.send(message if isinstance(message, str) else json.dumps(message))

    def next(self) -> Event:
        message = self._connection.recv(PATIENCE_S)
        if isinstance(message, bytes):
            return Event("audio", {}, message)
        fields = json.loads(message)
        return Event(fields.pop("event"), fields)

    def until(self, *names: str) -> Answer:
        """Read up to the first event of one of these names."""
        events = [self.next()]
        while events[-1].name not in names:
            events.append(self.next())
        return Answer(events)

    def ask(self, recording: bytes) -> Answer:
        """One whole turn."""
        self.say(recording)
        return self.until("complete", "error")

    def nothing_comes(self, seconds: float) -> bool:
        try:
            self._connection.recv(seconds)
        except TimeoutError:
            return True
        return False

    def vanish(self) -> None:
        """Go without a word, as a phone in a tunnel or a closed laptop does."""
        self._connection.socket.shutdown(socket.SHUT_RDWR)


@contextmanager
def talking(url: str, **headers: str) -> Iterator[Talk]:
    """An open connection to the server at that http:// address."""
    # A reader that lags must not hold up the server's pings.
    address = url.replace("http", "ws", 1) + "/ws/stream"
    with connect(
        address, max_size=None, open_timeout=PATIENCE_S, max_queue=None, additional_headers=headers
    ) as connection:
        yield Talk(connection)
