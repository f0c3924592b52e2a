"""What Ray's HTTP proxy lets through; the real one runs in tests/server."""

from __future__ import annotations

import pytest
from ray.serve._private.http_util import RequestIdMiddleware, parse_request_timeout_header
from ray.serve._private.utils import call_function_from_import_path
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from serve_app.cli.main import RAY_SETTINGS
from serve_app.launch.proxy import plain

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
