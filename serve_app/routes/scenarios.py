"""GET /api/scenarios: what a lesson can be about."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from serve_app.routes.api_docs import answers
from serve_app.routes.lessons import Lessons

PATH = "/api/scenarios"


class ScenarioRoute:
    """The scenarios that a client may choose by their `id`, as they are now."""

    def __init__(self, lessons: Lessons) -> None:
        self._lessons = lessons

    def router(self) -> APIRouter:
        routes = APIRouter()
        routes.add_api_route(
            PATH,
            self.scenarios,
            methods=["GET"],
            response_class=JSONResponse,
            summary="The scenarios of a lesson: what `scenario` may be",
            responses=answers("application/json", description="The scenarios"),
        )
        return routes

    async def scenarios(self) -> JSONResponse:
        return JSONResponse({"scenarios": [scenario.listed() for scenario in self._lessons.scenarios]})
