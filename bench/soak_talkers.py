"""The talkers of a soak: each says its own recordings in its own session, over SSE or the WebSocket, and reconnects."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from .soak_checks import ENDS, Turn

SPEECH = Path(__file__).parent.parent / "tests/data/speech"
SAID = (
    "a-professora-explicou-o-exercicio",
    "bom-dia-eu-trabalho-em-um-hospital",
    "ela-estuda-medicina-na-universidade",
    "faz-dois-anos-que-eu-moro-no-brasil",
    "eles-querem-comprar-uma-casa-nova",
    "quando-eu-era-crianca-eu-brincava",
    "eu-acho-que-as-redes-sociais",
    "onde-fica-o-banheiro-por-favor",
    "eu-acordo-as-seis-horas",
    "meu-irmao-gosta-de-jogar-futebol",
    "hoje-esta-muito-quente-e-eu-quero",
    "o-meu-cachorro-dorme-no-sofa",
    "minha-namorada-fala-portugues",
    "o-onibus-chegou-atrasado",
    "preciso-comprar-um-presente",
    "vamos-jantar-em-um-restaurante",
)
"""The beginnings of the recordings' names, two for each talker; no two sentences are alike."""
EACH = 2
TALKERS = len(SAID) // EACH
CONNECT_S = 20.0
THINK_S = 1.0
AGAIN_S = 1.0
"""Before a client that was cut off or refused tries again."""
NOBODY = "no connection"

Clock = Callable[[], float]


def recordings() -> list[bytes]:
    return [min(SPEECH.glob(f"{name}*.pt-br.ogg")).read_bytes() for name in SAID]


def talker_of(recording: int) -> int:
    return recording // EACH


@dataclass
class Talker:
    """One learner; `turns` is all that it has sent, in order."""

    number: int
    url: str
    key: str
    audio: Sequence[bytes]
    clock: Clock
    limit_s: float
    """After that without an end the client leaves."""
    turns: list[Turn] = field(default_factory=list)
    session: str = field(default_factory=lambda: secrets.token_hex(8))
    _socket: ClientConnection | None = None
    _connection: str = ""
    _said_here: int = 0

    @property
    def way(self) -> str:
        return "websocket" if self.number % 2 else "sse"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def talk(self, enough: threading.Event) -> None:
        """Turn after turn until it is enough; the last one is finished."""
        try:
            while not enough.is_set():
                turn = self.once()
                if turn.all(*ENDS):
                    self._think(turn)
                else:
                    enough.wait(AGAIN_S)
        finally:
            self.hang_up()

    def once(self) -> Turn:
        """One turn, whatever comes of it."""
        return self._over_websocket() if self.way == "websocket" else self._over_sse()

    def conversation(self) -> list[dict[str, Any]]:
        """Its turns as the server has them."""
        answer = httpx.get(f"{self.url}/api/sessions/{self.session}", headers=self.headers, timeout=CONNECT_S)
        return answer.raise_for_status().json()["turns"]

    def _begin(self, turn_id: str) -> Turn:
        recording = EACH * self.number + len(self.turns) % EACH
        turn = Turn(self.number, self.way, recording, turn_id, self.clock())
        self.turns.append(turn)
        return turn

    # --- SSE

    def _over_sse(self) -> Turn:
        turn = self._begin(secrets.token_hex(8))
        try:
            with httpx.stream(
                "POST",
                f"{self.url}/api/stream-audio?wait=true",
                files={"audio": ("gravacao.ogg", self.audio[turn.recording])},
                data={"session_id": self.session, "order": "eager"},
                headers={**self.headers, "x-request-id": turn.turn_id},
                timeout=httpx.Timeout(self.limit_s, connect=CONNECT_S),
            ) as response:
                if response.status_code != 200:
                    turn.closed = _refusal(response.status_code, response.read())
                else:
                    self._read_sse(response, turn)
        except httpx.ReadTimeout:
            turn.gave_up = not turn.all(*ENDS)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            turn.closed = NOBODY
        except (httpx.HTTPError, ValueError) as error:
            turn.closed = f"closed {type(error).__name__}"
        turn.ended = self.clock()
        return turn

    def _read_sse(self, response: httpx.Response, turn: Turn) -> None:
        name = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                data = json.loads(line.removeprefix("data: "))
                data.pop("chunk", None)
                turn.events.append((self.clock(), name, data))
            if self.clock() > turn.begun + self.limit_s:  # a comment comes every 10 s, so a silent turn gets here too
                turn.gave_up = not turn.all(*ENDS)
                return
        turn.closed = "closed without an end"

    # --- WebSocket

    def hang_up(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
        self._socket = None

    def _connected(self) -> ClientConnection | None:
        if self._socket is None:
            parts = urlsplit(self.url)
            self._connection, self._said_here = secrets.token_hex(8), 0
            headers = {**self.headers, "x-request-id": self._connection}
            try:
                self._socket = connect(
                    f"ws://{parts.netloc}/ws/stream",
                    open_timeout=CONNECT_S,
                    max_size=None,
                    max_queue=None,
                    additional_headers=headers,
                )
                settings = {"type": "settings", "session_id": self.session, "wait": True}
                self._socket.send(json.dumps(settings))
                self._socket.recv(CONNECT_S)
            except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError):
                self.hang_up()
        return self._socket

    def _over_websocket(self) -> Turn:
        socket = self._connected()
        if socket is None:
            turn = self._begin(secrets.token_hex(8))
            turn.closed, turn.ended = NOBODY, self.clock()
            return turn
        self._said_here += 1
        turn = self._begin(f"{self._connection}.{self._said_here}")
        try:
            socket.send(self.audio[turn.recording])
            while not turn.all(*ENDS):
                left_s = turn.begun + self.limit_s - self.clock()
                self._take(socket, turn, max(0.1, left_s))
        except TimeoutError:
            turn.gave_up = True
            self.hang_up()
        except (ConnectionClosed, OSError) as error:
            code = error.rcvd.code if isinstance(error, ConnectionClosed) and error.rcvd else 1006
            turn.closed = f"closed {code}"
            self.hang_up()
        turn.ended = self.clock()
        return turn

    def _take(self, socket: ClientConnection, turn: Turn, patience_s: float) -> None:
        message = socket.recv(patience_s)
        if isinstance(message, bytes):
            turn.events.append((self.clock(), "audio", {}))
        else:
            data = json.loads(message)
            turn.events.append((self.clock(), data.pop("event", ""), data))

    def _think(self, turn: Turn) -> None:
        """A pause; what the server still sends into it belongs to the turn before."""
        until = time.monotonic() + THINK_S
        while self._socket is not None and (left_s := until - time.monotonic()) > 0:
            try:
                self._take(self._socket, turn, left_s)
            except TimeoutError:
                return
            except (ConnectionClosed, OSError):
                self.hang_up()
        time.sleep(max(0.0, until - time.monotonic()))


def _refusal(status: int, body: bytes) -> str:
    """By its code; Ray's proxy answers without one where no Ingress is there."""
    with suppress(ValueError, KeyError, TypeError):
        return f"refused {status} {json.loads(body)['code']}"
    return f"refused {status} by the proxy"
