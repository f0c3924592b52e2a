"""Ray's dashboard, through the REST API that `serve deploy` and `serve status` use, from a second shell."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError
from ray.serve.schema import ApplicationStatus

from serve_app.config.lint import StackFile
from serve_app.errors import StackError
from serve_app.launch import serve_status
from serve_app.launch.ray_private import DeploymentStatus
from serve_app.launch.serve_status import Snapshot

APPLICATIONS = "/api/serve/applications/"
ANSWER_S = 30.0
POLL_S = 0.5


class _Deployment(BaseModel):
    status: DeploymentStatus
    message: str = ""
    replicas: list[dict[str, Any]] = []


class _Http(BaseModel):
    host: str | None = None
    port: int = 8000
    ssl_certfile: str | None = None


class _Application(BaseModel):
    status: ApplicationStatus
    message: str = ""
    route_prefix: str | None = None
    deployed_app_config: dict[str, Any] | None = None
    deployments: dict[str, _Deployment] = {}


class Serving(BaseModel):
    """What runs on a cluster, as far as Parle looks at it."""

    http_options: _Http | None = None
    applications: dict[str, _Application] = {}


class _Info(BaseModel):
    refused_settings: dict[str, str] = {}


class Dashboard:
    """The dashboard of one cluster, at `address`: http://HOST:PORT."""

    def __init__(self, address: str) -> None:
        if urlsplit(address).scheme not in ("http", "https"):
            raise StackError(f"{address!r} is no address of a Ray dashboard, such as http://127.0.0.1:8265.")
        self._address = address.rstrip("/")
        token = _token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=self._address, headers=headers, timeout=ANSWER_S, trust_env=False)

    def deploy(self, stack: StackFile) -> None:
        """Ask for the stack of a file; returns before it runs.

        Raises:
            StackError: nobody answers, or the file is refused.
        """
        self._ask("PUT", stack.schema.model_dump(mode="json", exclude_unset=True))

    def serving(self) -> Serving:
        """What runs now.

        Raises:
            StackError: nobody answers, or not as a Ray dashboard would.
        """
        try:
            return Serving.model_validate_json(self._ask("GET").content)
        except ValidationError:
            raise StackError(f"What answers at {self._address} is no Ray dashboard with Serve.") from None

    def await_running(self, application: str) -> None:
        """Wait until what was deployed runs.

        Raises:
            StackError: it cannot; why, in one line.
        """
        running = 0
        while running < 2:  # at first Serve may still say so of what ran before
            found = self.serving().applications.get(application)
            if found is None:
                raise StackError(f"There is no application '{application}' at {self._address}.")
            now = snapshot(found)
            if failure := now.failure():
                raise StackError(failure)
            running = running + 1 if now.application is ApplicationStatus.RUNNING else 0
            time.sleep(POLL_S)

    def url(self, serving: Serving, application: str) -> str:
        """Where a client on this machine reaches the application: where Serve listens, or the dashboard's own host."""
        http = serving.http_options or _Http()
        here = urlsplit(self._address).hostname or "127.0.0.1"
        host = here if http.host in (None, "0.0.0.0", "::") else http.host
        prefix = serving.applications[application].route_prefix or "/"
        scheme = "https" if http.ssl_certfile else "http"
        return f"{scheme}://{f'[{host}]' if host and ':' in host else host}:{http.port}{prefix.rstrip('/')}"

    def _ask(self, method: str, body: Any = None) -> httpx.Response:
        try:
            answer = self._http.request(method, APPLICATIONS, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise StackError(f"no Ray dashboard answers at {self._address} ({type(error).__name__}).") from None
        if answer.status_code in (401, 403):
            raise StackError(
                f"the Ray dashboard at {self._address} wants its token: run this as the user who started the server, "
                "or set RAY_AUTH_TOKEN."
            )
        if not answer.is_success:
            raise StackError(f"Serve refuses: {serve_status.reason(answer.text)}")
        return answer


def snapshot(application: _Application) -> Snapshot:
    """The application's status, with Serve's messages on what is not healthy."""
    return Snapshot(
        application.status,
        application.message,
        {name: one.status for name, one in application.deployments.items()},
        {
            name: one.message
            for name, one in application.deployments.items()
            if one.message and one.status is not DeploymentStatus.HEALTHY
        },
    )


def refused_settings(url: str, key: str | None = None) -> dict[str, str]:
    """Why the latest user_config of a deployment is not in force, from the server's /api/info.

    Serve's own status cannot say it: a deployment that keeps its old settings is healthy.

    Raises:
        StackError: the server does not answer, or wants another API key.
    """
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answer = httpx.get(f"{url}/api/info", headers=headers, timeout=ANSWER_S, verify=False)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise StackError(f"{url} wants an API key to say which settings are in force: --key, or PARLE_API_KEY.")
        answer.raise_for_status()
        return _Info.model_validate_json(answer.content).refused_settings
    except (httpx.HTTPError, ValidationError) as error:
        raise StackError(f"{url}/api/info does not say which settings are in force ({type(error).__name__}).") from None


def _token() -> str | None:
    """Ray's token, found where Ray looks for it."""
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        return token.strip()
    with suppress(OSError):
        path = os.environ.get("RAY_AUTH_TOKEN_PATH") or os.path.expanduser("~/.ray/auth_token")
        return Path(path).read_text("utf-8").strip()
    return None
