"""`parle talk`: sends one recording to a running server and prints the events as they arrive."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import tempfile
import time
import wave
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click
import httpx
from httpx_sse import EventSource, SSEError
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import connect

from serve_app.errors import ParleError

CONNECT_S = 5.0
SILENCE_S = 180.0
"""Longest wait for the next event: more than any stack's `limits.turn_s` should be."""
LAST = ("complete", "error")
PLAYERS: dict[str, list[str]] = {
    "paplay": [],
    "aplay": ["-q"],
    "afplay": [],
    "ffplay": ["-nodisp", "-autoexit", "-loglevel", "quiet"],
}


class TalkFailed(ParleError):
    """The server cannot be reached, refused the recording, or closed the connection."""

    code = "talk"


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """One event of the turn, `ms` after the last byte of the recording was sent."""

    ms: int
    name: str
    data: dict[str, Any]
    wav: bytes = b""


@dataclass(slots=True)
class Clock:
    """Milliseconds since the end of the upload."""

    start: float = field(default_factory=time.perf_counter)

    def restart(self) -> None:
        self.start = time.perf_counter()

    def ms(self) -> int:
        return round((time.perf_counter() - self.start) * 1000)


def over_sse(
    url: str, recording: Path, fields: dict[str, str], headers: Mapping[str, str] | None = None
) -> Iterator[ReceivedEvent]:
    """One turn over POST /api/stream-audio. `headers` are sent too, such as that with an API key.

    Raises:
        TalkFailed: no server, a refused request, or a broken stream.
    """
    clock = Clock()

    def trace(event: str, _: dict[str, Any]) -> None:
        if event.endswith("send_request_body.complete"):
            clock.restart()

    timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
    try:
        with (
            recording.open("rb") as upload,
            httpx.Client(timeout=timeout) as client,
            client.stream(
                "POST",
                f"{url}/api/stream-audio",
                files={"audio": (recording.name, upload)},
                data=fields,
                headers=headers,
                extensions={"trace": trace},
            ) as response,
        ):
            if response.status_code != 200:
                raise TalkFailed(_refusal(response.status_code, response.read().decode("utf-8", "replace")))
            for event in EventSource(response).iter_sse():
                data = event.json()
                yield ReceivedEvent(clock.ms(), event.event, data, base64.b64decode(data.pop("chunk", "")))
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise TalkFailed(_unreachable(url, error)) from None
    except (SSEError, httpx.InvalidURL, ValueError) as error:
        raise TalkFailed(f"{url} does not answer as a Parle server does: {error}") from None
    except httpx.HTTPError as error:
        raise TalkFailed(f"the connection to {url} broke off: {error or type(error).__name__}") from None


def over_websocket(
    url: str, recording: Path, fields: dict[str, str], headers: Mapping[str, str] | None = None
) -> Iterator[ReceivedEvent]:
    """One turn over /ws/stream. Raises as `over_sse` does."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    address = urlunsplit(parts._replace(scheme=scheme, path=f"{parts.path.rstrip('/')}/ws/stream"))
    clock = Clock()
    try:
        with connect(address, open_timeout=CONNECT_S, max_size=None, additional_headers=headers) as socket:
            if fields:
                settings: dict[str, Any] = dict(fields)
                if "speed" in settings:
                    settings["speed"] = float(settings["speed"])
                socket.send(json.dumps({"type": "settings", **settings}))
                answer = json.loads(socket.recv(SILENCE_S))
                if answer.get("event") == "error":
                    raise TalkFailed(f"refused: {answer.get('message')}")
            socket.send(recording.read_bytes())
            clock.restart()
            name = ""
            while name not in LAST:
                message = socket.recv(SILENCE_S)
                if isinstance(message, bytes):
                    yield ReceivedEvent(clock.ms(), "audio", {}, message)
                else:
                    data = json.loads(message)
                    name = data.pop("event", "")
                    yield ReceivedEvent(clock.ms(), name, data)
    except InvalidStatus as error:
        why = "" if error.response.status_code != 403 else "; this stack has no websocket route, or wants an API key"
        raise TalkFailed(f"{address} refused the connection: HTTP {error.response.status_code}{why}") from None
    except ConnectionClosed as error:
        closed = error.rcvd
        why = f"{closed.code} {closed.reason}".strip() if closed else "without a reason"
        raise TalkFailed(f"the server closed the connection: {why}") from None
    except TimeoutError:
        raise TalkFailed(f"{address} gave no answer") from None
    except (OSError, InvalidHandshake, InvalidURI) as error:
        raise TalkFailed(_unreachable(url, error)) from None


def _refusal(status: int, body: str) -> str:
    try:
        message = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        message = body.strip().splitlines()[0][:200] if body.strip() else "no reason given"
    return f"refused (HTTP {status}): {message}"


def _unreachable(url: str, error: Exception) -> str:
    return f"no server at {url} ({error or type(error).__name__}); start one: parle serve configs/cpu_stack.yaml"


def show(events: Iterator[ReceivedEvent]) -> list[bytes]:
    """Print a turn as it arrives; returns the WAV files of the answer, in order.

    Raises:
        TalkFailed: the turn ended with an error, or the stream stopped before its end.
    """
    wavs: list[bytes] = []
    writing, name = False, ""
    for event in events:
        name = event.name
        if name == "delta":
            head = "" if writing else f"{event.ms:6d} ms  delta       "
            click.echo(head + event.data.get("text", ""), nl=False)
            writing = True
            continue
        if writing:
            click.echo()
            writing = False
        if event.wav:
            wavs.append(event.wav)
        click.echo(f"{event.ms:6d} ms  {name:10}  {_said(event, len(wavs))}")
        if name == "error":
            raise TalkFailed(f"the turn failed: {event.data.get('message')}")
    if writing:
        click.echo()
    if name not in LAST:
        raise TalkFailed("the server ended the answer before it was complete")
    return wavs


def _said(event: ReceivedEvent, pieces: int) -> str:
    data = event.data
    match event.name:
        case "status":
            return str(data.get("stage"))
        case "transcript":
            return f"{data.get('transcript')}   (stt {data.get('stt_ms')} ms, session {data.get('session_id')})"
        case "level":
            return f"{data.get('level')}   (confidence {data.get('confidence')}, {data.get('cefr_ms')} ms)"
        case "response":
            return f"{data.get('response')}   (llm {data.get('llm_ms')} ms)"
        case "audio":
            first = "   <- first audio" if pieces == 1 else ""
            return f"{_seconds(event.wav):.2f} s{first}"
        case "complete":
            timing = data.get("timing", {})
            return ", ".join(f"{name.removesuffix('_ms')} {ms} ms" for name, ms in timing.items())
        case "error":
            return f"{data.get('code')}: {data.get('message')} ({data.get('stage')})"
        case _:
            return json.dumps(data, ensure_ascii=False)


def joined(wavs: list[bytes]) -> bytes:
    """Several WAV files of the same format joined to one."""
    out = io.BytesIO()
    with wave.open(out, "wb") as whole:
        for index, piece in enumerate(wavs):
            with wave.open(io.BytesIO(piece)) as part:
                if index == 0:
                    whole.setparams(part.getparams())
                whole.writeframes(part.readframes(part.getnframes()))
    return out.getvalue()


def _seconds(wav: bytes) -> float:
    with wave.open(io.BytesIO(wav)) as part:
        return part.getnframes() / part.getframerate()


def player() -> list[str] | None:
    """The command that plays a WAV file on this machine, None if there is none."""
    return next(([path, *options] for name, options in PLAYERS.items() if (path := shutil.which(name))), None)


def play(wav: bytes, command: list[str]) -> None:
    """Play to the end. A player that fails (no sound card) prints its own message."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        file.write(wav)
        file.flush()
        subprocess.run([*command, file.name], check=False)
