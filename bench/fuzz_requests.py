"""What bench/fuzz.py sends, and what answers may be: refusals and errors that say what to do, but never `internal`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from serve_app.package_data import data_file

ANSWER_S = 60.0
PATH = "/api/stream-audio"
ENDS = ("complete", "error")
FIELDS = ("audio", "file", "session_id", "level", "voice", "speed", "correction", "order", "x")

Add = Callable[[str, Callable[[], str]], None]
"""(what is sent, how): counts the outcome, or notes that it is wrong."""


class Wrong(Exception):
    """An answer that must not be."""


def over_sse(url: str, recording: bytes) -> str:
    """The outcome of one recording: the HTTP status, and the last event or the code of the refusal.

    Raises:
        Wrong: see the module.
    """
    return _posted(url, files={"audio": ("gravacao", recording)})


def over_websocket(url: str, recording: bytes) -> str:
    """The same over a connection of its own."""
    with _connected(url) as socket:
        return _said(socket, recording)


def forms(add: Add, url: str, examples: int, number: int, until: float) -> int:
    """POST bodies of parts with odd heads, cut anywhere, under right and wrong media types. How many were sent."""
    greeting = data_file("greeting.ogg").read_bytes()
    name = st.one_of(st.sampled_from(FIELDS), st.text(max_size=20)).map(lambda text: text.encode("utf-8", "replace"))
    heads = st.one_of(
        st.tuples(name, name).map(lambda two: b'form-data; name="%b"; filename="%b"' % two),
        name.map(lambda one: b'form-data; name="%b"' % one),
        st.binary(max_size=60),
    )
    content = st.one_of(st.binary(max_size=200), st.just(greeting), st.text(max_size=50).map(str.encode))
    part = st.tuples(heads, st.sampled_from((b"", b"audio/ogg", b"text/plain", b"\xff")), content)
    body = st.tuples(st.lists(part, max_size=6), st.integers(0, 3), st.integers(-60, 60))
    media = st.one_of(
        st.just("multipart/form-data; boundary=x"),
        st.sampled_from(("multipart/form-data", "audio/ogg", "application/json", "multipart/form-data; boundary=")),
    )

    def send(body: tuple[list[tuple[bytes, bytes, bytes]], int, int], media: str) -> Callable[[], str]:
        parts, kind, cut = body
        sent = b"".join(
            b"--x\r\nContent-Disposition: %b\r\nContent-Type: %b\r\n\r\n%b\r\n" % one if one[1] else
            b"--x\r\nContent-Disposition: %b\r\n\r\n%b\r\n" % (one[0], one[2])
            for one in parts
        ) + b"--x--\r\n"  # fmt: skip
        if kind == 0:
            sent = sent[:cut]
        return lambda: _posted(url, content=sent, headers={"content-type": media})

    return each(add, "form", st.builds(send, body, media), examples, number, until)


def messages(add: Add, url: str, examples: int, number: int, until: float) -> int:
    """Text and binary messages of any kind over one WebSocket, which has to stay open. How many were sent."""
    value = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40))
    fields = st.dictionaries(st.one_of(st.sampled_from(FIELDS), st.text(max_size=10)), value, max_size=5)
    kinds = st.sampled_from(("settings", "cancel", "dance", None, 3))
    command = st.tuples(kinds, fields).map(lambda two: json.dumps({"type": two[0], **two[1]}))
    deep = st.recursive(value, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
    message = st.one_of(command, deep.map(json.dumps), st.text(max_size=100), st.binary(max_size=300))
    with _connected(url) as socket:
        sends = message.map(lambda sent: lambda: _said(socket, sent))
        return each(add, "message", sends, examples, number, until)


def schema(add: Add, url: str, examples: int, number: int, until: float, only: Collection[str] = ()) -> int:
    """Calls that schemathesis makes of every route that the server describes, right and wrong ones, and of its pages'
    files; or of `only` some paths. How many were sent."""
    published = httpx.get(f"{url}/openapi.json", timeout=ANSWER_S).raise_for_status().json()
    paths = {path: routes for path, routes in {**published["paths"], **FILES}.items() if not only or path in only}
    described: Any = schemathesis.openapi.from_dict({**published, "paths": paths})
    sent = 0
    for result in described.get_all_operations():
        operation: Any = result.ok()
        for mode in schemathesis.GenerationMode:
            cases = operation.as_strategy(generation_mode=mode)

            def call(case: Any) -> Callable[[], str]:
                return lambda: _outcome(_called(case, url))

            with suppress(Unsatisfiable):  # a route without parameters cannot be called wrongly
                sent += each(add, operation.label, cases.map(call), examples, number, until)
    return sent


def _called(case: Any, url: str) -> httpx.Response:
    answer = case.call(base_url=url, timeout=ANSWER_S)
    media = answer.headers.get("content-type", [""])[0]
    return httpx.Response(answer.status_code, headers={"content-type": media}, content=answer.content)


def each(
    add: Add, what: str, sends: SearchStrategy[Callable[[], str]], examples: int, number: int, until: float
) -> int:
    """Send `examples` of them, or as many as there is time for; how many that were."""
    sent = 0

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(sends)
    def one(send: Callable[[], str]) -> None:
        nonlocal sent
        if time.monotonic() < until:
            sent += 1
            add(f"{what} {sent}", send)

    one()
    return sent


def _posted(url: str, **request: Any) -> str:
    try:
        return _outcome(httpx.post(f"{url}{PATH}", timeout=ANSWER_S, **request))
    except httpx.HTTPError as error:
        raise Wrong(f"no answer ({type(error).__name__}: {error})") from None


def _outcome(answer: httpx.Response) -> str:
    """The outcome of a request; see `over_sse`."""
    status, media = answer.status_code, answer.headers.get("content-type", "")
    if status == 200 and media.startswith("text/event-stream"):
        blocks = [block for block in answer.text.split("\n\n") if block.startswith(("event: ", "data: "))]
        if blocks[-1].startswith("data: "):
            return f"200 {_openai_end(blocks[-1].removeprefix('data: '))}"
        name, _, data = blocks[-1].partition("\ndata: ")
        return f"200 {_end(name.removeprefix('event: '), json.loads(data))}"
    if status < 400:
        return str(status)
    if status == 500:
        raise Wrong(f"HTTP 500: {answer.text[:200]}")
    try:
        body = answer.json()
        code = body["error"]["code"] or body["error"]["type"] if "error" in body else body["code"]
    except (ValueError, KeyError, TypeError):
        raise Wrong(f"HTTP {status} without a code: {answer.text[:200]}") from None
    return f"{status} {code}"


def _end(name: str, data: dict[str, Any]) -> str:
    if name not in ENDS:
        raise Wrong(f"the stream ended with {name}")
    if data.get("code") == "internal":
        raise Wrong(f"internal: {data}")
    return f"{name} {data['code']}" if name == "error" else name


def _openai_end(data: str) -> str:
    """Of a stream in OpenAI's form the last event: `[DONE]`, one that says that it is, or the error."""
    if data == "[DONE]":
        return "done"
    last = json.loads(data)
    if "error" in last:
        return _end("error", {"code": last["error"]["code"]})
    if not str(last.get("type", "")).endswith(".done"):
        raise Wrong(f"the stream ended with {data[:200]}")
    return "done"


def _connected(url: str) -> ClientConnection:
    return connect(url.replace("http", "ws", 1) + "/ws/stream", max_size=None, open_timeout=ANSWER_S)


def _said(socket: ClientConnection, message: str | bytes) -> str:
    """Send it, and read up to what answers it."""
    ends = ENDS if isinstance(message, bytes) else ("settings", "cancelled", "error")
    try:
        socket.send(message)
        while True:
            answer = socket.recv(ANSWER_S)
            if isinstance(answer, bytes):
                continue
            data = json.loads(answer)
            if data["event"] in ends:
                return f"websocket {data['event'] if data['event'] not in ENDS else _end(data['event'], data)}"
    except (TimeoutError, WebSocketException) as error:
        raise Wrong(f"no answer ({type(error).__name__}: {error}) to {message[:100]!r}") from None


FILES: dict[str, Any] = {
    f"/{folder}/{{name}}": {
        "get": {
            "parameters": [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": {"200": {"description": "a file"}},
        }
    }
    for folder in ("web", "docs")
}
"""What the description leaves out: the files of the two pages."""
