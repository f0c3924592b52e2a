"""The HTTP and WebSocket routes, one file each; `app_for` mounts those that the YAML names.

Every error reaches the client as `{"code", "message"}`, on OpenAI's routes in OpenAI's form: refused requests are
mapped here and in serve_app.refusal, errors inside a turn by serve_app.lesson.events.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from serve_app.access.keys import Keys
from serve_app.access.tokens import Tokens, secret_in
from serve_app.config.stack import StackArgs
from serve_app.errors import ParleError
from serve_app.refusal import refusal
from serve_app.routes.api_docs import ApiDocs
from serve_app.routes.gate import Gate, TokenRoute
from serve_app.routes.learners import LearnerRoutes
from serve_app.routes.lessons import Lessons
from serve_app.routes.openai import OpenAiRoutes
from serve_app.routes.origins import OriginCheck, Origins, hosts_of, path_of
from serve_app.routes.pronunciation import PronunciationRoute
from serve_app.routes.realtime.route import RealtimeRoute
from serve_app.routes.safe_headers import SafeHeaders
from serve_app.routes.scenarios import ScenarioRoute
from serve_app.routes.sessions import SessionRoutes
from serve_app.routes.sse import SseRoute
from serve_app.routes.start import StartRoutes
from serve_app.routes.system import RefusedSettings, SystemRoutes, none_refused
from serve_app.routes.web import PageFiles
from serve_app.routes.websocket import ClosedWebSocketRoute, WebSocketRoute

logger = logging.getLogger("ray.serve")


def app_for(
    args: StackArgs,
    lessons: Lessons,
    refused_settings: RefusedSettings = none_refused,
    environment: Mapping[str, str] = os.environ,
) -> FastAPI:
    """The web application of one stack. Keys and names may come from the environment too."""
    keys = Keys(args.keys_file, environment)
    tokens = Tokens(keys, secret_in(environment))
    app = FastAPI(title="Parle", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(ParleError, refuse)
    app.add_exception_handler(HTTPException, refuse_http)
    app.add_exception_handler(ClientDisconnect, nobody_there)
    app.add_exception_handler(Exception, refuse_unknown)
    # Of middlewares the last one added sees a request first.
    app.add_middleware(Gate, keys=keys, tokens=tokens)
    others = [origin.rstrip("/") for origin in args.cors_origins]
    if others:
        app.add_middleware(
            CORSMiddleware, allow_origins=others, allow_methods=["GET", "POST", "PATCH", "DELETE"], allow_headers=["*"]
        )
    app.add_middleware(OriginCheck, origins=Origins([*args.hosts, *hosts_of(environment)], others))
    app.add_middleware(SafeHeaders)
    app.include_router(SystemRoutes(args, lessons, refused_settings).router())
    app.include_router(SessionRoutes(lessons).router())
    app.include_router(LearnerRoutes(lessons).router())
    app.include_router(ScenarioRoute(lessons).router())
    if keys.required:
        app.include_router(TokenRoute(tokens).router())
    else:
        logger.info("no API key is set: whoever reaches the port may use this server")
    if "sse" in args.routes:
        app.include_router(SseRoute(lessons).router())
        app.include_router(StartRoutes(lessons).router())
    if "pronunciation" in args.routes:
        app.include_router(PronunciationRoute(lessons).router())
    websocket = WebSocketRoute(lessons) if "websocket" in args.routes else ClosedWebSocketRoute()
    app.include_router(websocket.router())
    if "openai" in args.routes:
        app.include_router(OpenAiRoutes(args, lessons).router())
    if "realtime" in args.routes:
        app.include_router(RealtimeRoute(lessons).router())
    if "web" in args.routes:
        app.include_router(PageFiles().router())
    app.include_router(ApiDocs(app, keys.required).router())
    return app


async def refuse(request: Request, error: Exception) -> JSONResponse:
    """A request that was refused: HTTP status, code and message, Retry-After where waiting helps."""
    assert isinstance(error, ParleError)
    return JSONResponse(*refusal(error, path_of(request.scope)))


async def refuse_http(request: Request, error: Exception) -> JSONResponse:
    """A route or method that this stack lacks."""
    assert isinstance(error, HTTPException)
    known = {404: ("not_found", "This stack has no such route; GET /api/info lists those it has.")}
    code, message = known.get(error.status_code, ("http", str(error.detail)))
    refused = ParleError(message, code=code, status=error.status_code)
    body, status, _ = refusal(refused, path_of(request.scope))
    return JSONResponse(body, status, dict(error.headers or {}))


async def nobody_there(_: Request, __: Exception) -> Response:
    """The client hung up before its answer: nobody reads this one."""
    return Response(status_code=499)


async def refuse_unknown(request: Request, error: Exception) -> JSONResponse:
    """An unexpected exception: logged here; the client learns no details."""
    logger.error("request failed", exc_info=error)
    return JSONResponse(*refusal(ParleError("The server failed; please try again."), path_of(request.scope)))
