"""GET /openapi.json, which describes the HTTP routes that a stack has, and GET /docs, which shows it.

The page's files are open to everybody, as those of the browser client are; the description needs a key where the
server asks for one. OpenAPI 3.1: https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.responses import JSONResponse

from serve_app import __version__
from serve_app.refusal import OPENAI_PREFIX
from serve_app.routes.origins import HEALTH
from serve_app.routes.web import PageFiles

DOCS = "/docs"
ABOUT = (
    "Speech-to-speech tutor server for learners of Portuguese. The WebSocket /ws/stream, which this format cannot "
    "describe, and every field and event are in docs/wire.md; the routes under /v1 are in docs/openai.md."
)
_TEXT = {"type": "string"}
_ERROR = {"type": "object", "required": ["code", "message"], "properties": {"code": _TEXT, "message": _TEXT}}
_OPENAI_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": _TEXT,
                "type": _TEXT,
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


class ApiDocs:
    """The description of `app`, whose other routes are mounted already, and the page that shows it."""

    def __init__(self, app: FastAPI, keys_required: bool) -> None:
        self._description = describe(app, keys_required)

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route("/openapi.json", self.description, include_in_schema=False)
        routes.include_router(PageFiles("api_page", page=DOCS, files=f"{DOCS}/").router())
        return routes

    async def description(self) -> JSONResponse:
        return JSONResponse(self._description)


def describe(app: FastAPI, keys_required: bool) -> dict[str, Any]:
    """The OpenAPI document."""
    document = get_openapi(title="Parle", version=__version__, description=ABOUT, routes=app.routes)
    components = document.setdefault("components", {})
    components["schemas"] = {"Error": _ERROR, "OpenAiError": _OPENAI_ERROR}
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        name = "OpenAiError" if path.startswith(OPENAI_PREFIX) else "Error"
        refused = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        for operation in operations.values():
            operation["responses"]["default"] = {"description": "Refused, or failed", "content": refused}
            operation["security"] = [{"key": []}] if keys_required and path not in HEALTH else []
    return document


def body_of(kind: str, model: type[BaseModel], curl: str, *, file: str | None = None) -> dict[str, Any]:
    """`openapi_extra` of a route that reads its body itself: its fields, `file` for a recording, and an example."""
    schema = _inlined(model.model_json_schema())
    schema.pop("title", None)
    if file is not None:
        recording = {"type": "string", "format": "binary", "description": "One recording; see docs/wire.md"}
        schema["properties"] = {file: recording, **schema["properties"]}
        schema["required"] = [file, *schema.get("required", ())]
    return {
        "requestBody": {"required": True, "content": {kind: {"schema": schema}}},
        "x-codeSamples": [{"lang": "Shell", "source": curl}],
    }


def answers(*kinds: str, description: str = "Done") -> dict[int | str, dict[str, Any]]:
    """`responses` of a route: the media types of its answer. Its refusals are added by `describe`."""
    return {
        200: {"description": description, "content": {kind: {} for kind in kinds}},
        "default": {"description": "Refused, or failed"},
    }


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the models inside it written out, as it will not stand at the root of a document."""
    models = schema.pop("$defs", {})

    def inline(part: Any) -> Any:
        if isinstance(part, list):
            return [inline(one) for one in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return inline(models[part["$ref"].rpartition("/")[2]])
        return {name: inline(value) for name, value in part.items() if not (name == "title" and value != {})}

    return inline(schema)
