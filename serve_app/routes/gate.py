"""Who asks: checks the API key or token of every request but those for health and for the pages' files.

A page's files hold nothing secret, and without them nobody could enter a key. A WebSocket of a browser, which can set
no headers, carries a token among its subprotocols: `parle` and `parle.token.TOKEN`.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.access.keys import Key, Keys
from serve_app.access.tokens import OWN, TOKEN_S, Tokens
from serve_app.errors import ParleError, Unauthorized
from serve_app.refusal import refusal
from serve_app.routes.origins import HEALTH, path_of

SUBPROTOCOL = "parle"
TOKEN_SUBPROTOCOL = "parle.token."
OPENAI_SUBPROTOCOL = "openai-insecure-api-key."
"""With which OpenAI's clients in a browser send a key, or a token."""
NO_KEY = 4401
"""Closes a WebSocket: before it is accepted (a client sees HTTP 403), or later, when its key was withdrawn."""
_CLIENT = "parle.client"


@dataclass(frozen=True, slots=True)
class Client:
    """Who sent a request. `key` is None where the server asks for none."""

    key: Key | None
    address: str

    @property
    def owner(self) -> str:
        """Whom a conversation belongs to: the name of the key, "" without keys."""
        return self.key.name if self.key else ""


def client_of(scope: Scope) -> Client:
    """Who sent this request, which has passed the gate."""
    return scope[_CLIENT]


class Gate:
    """ASGI middleware: refuses whoever has no key, before a body is read or a WebSocket accepted."""

    def __init__(self, app: ASGIApp, keys: Keys, tokens: Tokens) -> None:
        self._app = app
        self._keys = keys
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        try:
            key = self._key(scope) if self._keys.required and not _is_open(path_of(scope)) else None
        except Unauthorized as error:
            return await _refuse(error, scope, receive, send)
        client = Client(key, (scope.get("client") or ("",))[0])
        scope = {**scope, _CLIENT: client}
        if scope["type"] == "websocket":
            socket = _Socket(self._keys, client, SUBPROTOCOL in scope.get("subprotocols", ()), receive, send)
            return await self._app(scope, socket.receive, socket.send)
        return await self._app(scope, receive, send)

    def _key(self, scope: Scope) -> Key:
        """The key of a request.

        Raises:
            Unauthorized: it has none, or a wrong one.
        """
        scheme, _, secret = Headers(scope=scope).get("authorization", "").partition(" ")
        given = secret.strip() if scheme.lower() == "bearer" else ""
        for protocol in scope.get("subprotocols", ()) if not given else ():
            for prefix in (TOKEN_SUBPROTOCOL, OPENAI_SUBPROTOCOL):
                given = protocol.removeprefix(prefix) if protocol.startswith(prefix) else given
        if not given:
            raise Unauthorized("This server needs an API key: Authorization: Bearer KEY.", code="no_key")
        if (key := self._keys.find(given) or self._tokens.find(given)) is None:
            raise Unauthorized("This key is not, or no longer, one of this server's.", code="wrong_key")
        return key


class TokenRoute:
    """POST /api/token: a token for the key, or the older token, that the request has."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route("/api/token", self.token, methods=["POST"], summary="A token for the key or older token")
        return routes

    async def token(self, request: Request) -> JSONResponse:
        key = client_of(request.scope).key
        assert key is not None  # the gate lets nobody else through
        return JSONResponse(
            {"token": self._tokens.issue(key), "expires_in_s": TOKEN_S}, headers={"Cache-Control": "no-store"}
        )


class _Socket:
    """A WebSocket that is closed when its key is withdrawn; looks whenever a message arrives."""

    def __init__(self, keys: Keys, client: Client, named: bool, receive: Receive, send: Send) -> None:
        self._keys = keys
        self._client = client
        self._named = named
        self._receive = receive
        self._send = send
        self._closed = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "websocket.receive" or self._client.key in (None, OWN, *self._keys.known()):
            return message
        self._closed = True
        await self._send({"type": "websocket.close", "code": NO_KEY, "reason": "wrong_key"})
        return {"type": "websocket.disconnect", "code": NO_KEY}

    async def send(self, message: Message) -> None:
        if self._closed:
            return
        if message["type"] == "websocket.accept" and self._named:
            message = {**message, "subprotocol": SUBPROTOCOL}
        await self._send(message)


def _is_open(path: str) -> bool:
    return path in HEALTH or path in ("/", "/docs") or path.startswith(("/web/", "/docs/"))


async def _refuse(error: ParleError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": NO_KEY, "reason": error.code})
    else:
        body, status, _ = refusal(error, path_of(scope))
        await JSONResponse(body, status, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
