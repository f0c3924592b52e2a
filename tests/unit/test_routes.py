"""The web application of a stack over stages without models: which routes it has, and what /api/info shows."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from support.site_without_ray import QuickExtras
from support.stages import House

from serve_app.config.stack import KokoroOnnxConfig, LexicalCefrConfig, Route, StackArgs
from serve_app.observe.observer import Observer
from serve_app.routes import app_for
from serve_app.routes.lessons import Lessons
from serve_app.routes.websocket import NO_ROUTE
from serve_app.store.memory import MemoryStore


class SilentStages(QuickExtras):
    """The queries of routes, of stages that have no voices."""

    async def voices(self) -> list[str]:
        return []


def client(*routes: Route) -> TestClient:
    args = StackArgs(
        routes=list(routes),
        cefr=LexicalCefrConfig(engine="lexical"),
        tts=KokoroOnnxConfig(engine="kokoro-onnx", model="/home/ana/models/kokoro"),
    )
    house = House()
    lessons = Lessons(house.stages(), SilentStages(house, ("stt",)), MemoryStore(), args, Observer(args))
    return TestClient(app_for(args, lessons), base_url="http://localhost:8000")


def test_info_shows_models_without_local_paths_and_nothing_internal() -> None:
    answer = client("sse").get("/api/info")
    assert "/home" not in answer.text
    info = answer.json()
    assert info["stages"]["tts"]["model"] == "kokoro"
    assert info["stages"]["cefr"] == {"engine": "lexical", "model": None, "num_gpus": 0}
    assert info["stages"]["stt"]["model"]
    assert set(info) == {
        *("name", "version", "stages", "routes", "voices", "limits", "turns", "waiting", "sessions"),
        *("activity", "store", "refused_settings"),
    }


def test_only_the_routes_of_the_stack_are_there() -> None:
    none, all_three = client("sse"), client("sse", "websocket", "web")
    assert (none.get("/").status_code, all_three.get("/").status_code) == (404, 200)
    assert (none.get("/web/app.js").status_code, all_three.get("/web/app.js").status_code) == (404, 200)
    with all_three.websocket_connect("ws://localhost:8000/ws/stream") as socket:
        socket.send_json({"type": "cancel"})
        assert socket.receive_json() == {"event": "cancelled"}
    with pytest.raises(WebSocketDisconnect) as refused, none.websocket_connect("ws://localhost:8000/ws/stream"):
        pass
    assert refused.value.code == NO_ROUTE
    without_sse = client("websocket")
    assert without_sse.post("/api/stream-audio", files={"audio": b"x"}).json()["code"] == "not_found"
