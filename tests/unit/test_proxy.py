"""What Ray's HTTP proxy lets through; the real one runs in tests/server."""

from __future__ import annotations

import asyncio

import pytest
from httpx import ASGITransport, AsyncClient
from ray.serve._private.http_util import RequestIdMiddleware, parse_request_timeout_header
from ray.serve._private.utils import call_function_from_import_path
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send
from support.virtual_time import in_virtual_time

from serve_app.cli.ray_environment import RAY_SETTINGS
from serve_app.launch.proxy import plain
from serve_app.launch.upload_door import UploadDoor

UNTOUCHED = [
    (b"host", b"aula.example"),
    (b"x-request-id", b"aula-7:b.c_1"),
    (b"x-session-id", b"ana"),
    (b"accept-language", "pt, olá".encode("latin-1")),
    (b"x-forwarded-for", b"10.0.0.1"),
    (b"x-forwarded-for", b"10.0.0.2"),
]


@pytest.mark.parametrize(
    "header",
    [
        (b"x-request-timeout-seconds", b"1"),
        (b"X-Request-Timeout_Seconds", b"1"),
        (b"x-request-disconnect-disabled", b"?1"),
        (b"serve_multiplexed_model_id", b"\xe9"),
        (b"x-request-id", b"\xe9"),
        (b"x-request-id", b"a" * 5_000),
        (b"x-request-id", b""),
        (b"x-request-id", b"a\nb"),
        (b"x_session_id", b"\xff"),
        (b"x-\xe9", b"1"),
    ],
)
def test_orders_to_ray_and_odd_ids_are_left_out_and_everything_else_passes(header: tuple[bytes, bytes]) -> None:
    assert plain([header, *UNTOUCHED]) == UNTOUCHED


async def show(scope: Scope, receive: Receive, send: Send) -> None:
    """What Ray makes of a request: its id, and its timeout."""
    headers = Request(scope).headers
    timeout = parse_request_timeout_header(dict(scope["headers"]), None)
    await JSONResponse({"id": headers["x-request-id"], "timeout": timeout})(scope, receive, send)


@pytest.mark.parametrize(("sent", "kept"), [(b"aula-7", True), (b"\xe9", False), (b"a" * 5_000, False)])
def test_the_proxy_of_ray_finds_the_middleware_and_gives_every_request_a_plain_id(sent: bytes, kept: bool) -> None:
    app = RequestIdMiddleware(show)
    for middleware in call_function_from_import_path(RAY_SETTINGS["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"]):
        app = middleware.cls(app, *middleware.args, **middleware.kwargs)
    headers = {b"x-request-id": sent, b"x-request-timeout-seconds": b"1"}
    answer = TestClient(app).get("/", headers=headers)
    assert answer.json()["timeout"] is None
    assert answer.json()["id"] == answer.headers["x-request-id"]
    assert (answer.json()["id"] == sent.decode("latin-1")) is kept
    assert answer.json()["id"].isascii()
    assert len(answer.json()["id"]) <= 64


@in_virtual_time
async def test_uploads_wait_at_the_door_a_few_of_them_and_nothing_else_does() -> None:
    inside: list[str] = []
    answer_now = asyncio.Event()

    async def ingress(scope: Scope, receive: Receive, send: Send) -> None:
        inside.append(scope["path"])
        if scope["path"] != "/healthz":
            await answer_now.wait()
        await PlainTextResponse("here")(scope, receive, send)

    door = ASGITransport(UploadDoor(ingress, at_a_time=2, most_waiting=1))
    async with AsyncClient(transport=door, base_url="http://aula") as client:
        uploads = [asyncio.create_task(client.post(f"/{number}", content=b"x")) for number in range(3)]
        await asyncio.sleep(0.05)
        refused = await client.post("/one-too-many", content=b"x")
        assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "busy", "5")
        assert (await client.get("/healthz")).text == "here"
        assert inside == ["/0", "/1", "/healthz"]
        answer_now.set()
        assert [answer.text for answer in await asyncio.gather(*uploads)] == ["here"] * 3
        assert inside == ["/0", "/1", "/healthz", "/2"]


@in_virtual_time
async def test_who_is_being_answered_no_longer_stands_in_the_door_nor_does_who_has_gone() -> None:
    begun: list[Message] = []

    async def ingress(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/answered":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(60)

    async def send(message: Message) -> None:
        begun.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x", "more_body": True}

    door = UploadDoor(ingress, at_a_time=1)

    async def upload(path: str) -> asyncio.Task[None]:
        scope = {"type": "http", "path": path, "headers": [(b"content-length", b"9")]}
        task = asyncio.create_task(door(scope, receive, send))
        await asyncio.sleep(0.01)
        return task

    tasks = [await upload("/answered") for _ in range(3)]
    assert len(begun) == 3
    tasks.append(await upload("/unanswered"))
    tasks.append(await upload("/answered"))
    assert len(begun) == 3
    tasks[3].cancel()
    await asyncio.sleep(0.01)
    assert len(begun) == 4
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
