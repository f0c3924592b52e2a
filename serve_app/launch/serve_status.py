"""Serve's status of one application, and the line that says why it cannot run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ApplicationStatus

from serve_app.errors import StackError
from serve_app.launch import ray_private
from serve_app.launch.ray_private import DeploymentStatus, ServeControllerClient

ANSWER_S = 15.0
INGRESS = "Ingress"
_OUR_ERROR = re.compile(rf"\b{re.escape(StackError.__module__)}\.\w+: (?P<message>.+)")
_ANY_ERROR = re.compile(r"^[\w.]*(?:Error|Exception|Exit|Interrupt|Timeout)\b.*: \S.*$")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The application at one moment. `messages` are Serve's own, for each deployment that is not healthy."""

    application: ApplicationStatus
    message: str
    deployments: dict[str, DeploymentStatus]
    messages: dict[str, str]
    deployed_at: float = 0.0
    """Unix time of the latest deploy."""

    def failure(self) -> str | None:
        """Why this stack cannot run, in one line; None while it still may.

        Serve tries to start a replica three times. A StackError of ours would be the same each time, so the first
        one counts.
        """
        for name, message in self.messages.items():
            if found := ours(message):
                return f"{name}: {found}"
        if self.application is ApplicationStatus.DEPLOY_FAILED:
            for name, message in self.messages.items():
                if self.deployments[name] is DeploymentStatus.DEPLOY_FAILED:
                    return f"{name}: {reason(message)}"
            return reason(self.message)
        return None


def look(client: ServeControllerClient, application: str) -> Snapshot:
    """The application's status now, from Serve's controller.

    Raises:
        RayError: the controller is gone, restarting, or has not answered in time.
    """
    overview = ray_private.status(client, application, ANSWER_S)
    deployments = {status.name: status for status in overview.deployment_statuses}
    return Snapshot(
        overview.app_status.status,
        overview.app_status.message,
        {name: status.status for name, status in deployments.items()},
        {
            name: status.message
            for name, status in deployments.items()
            if status.message and status.status is not DeploymentStatus.HEALTHY
        },
        overview.app_status.deployment_timestamp,
    )


def refused_settings(application: str) -> dict[str, str]:
    """Why the latest user_config of a deployment is not in force; {} also where the Ingress does not answer now.

    Serve's own status cannot say it: a deployment that keeps its old settings is healthy.
    """
    try:
        ingress = serve.get_deployment_handle(INGRESS, application)
        return ingress.refused_settings.remote().result(timeout_s=ANSWER_S)
    except (RayError, RayServeException, TimeoutError):
        return {}


def ours(message: str) -> str | None:
    """The message of our own error in a traceback that Ray passed on; None where it holds none."""
    found = [match["message"].strip() for line in _lines(message) if (match := _OUR_ERROR.search(line))]
    return found[-1] if found else None


def reason(message: str) -> str:
    """The line of Ray's message that says what happened: our error, else the last exception, else its first line."""
    if found := ours(message):
        return found
    lines = [line for line in _lines(message) if not line.endswith("failed with exception:")]
    errors = [line for line in lines if _ANY_ERROR.match(line)]
    return errors[-1] if errors else (lines[0] if lines else "no reason given")


def _lines(text: str) -> Iterator[str]:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return (line.strip() for line in plain.splitlines() if line.strip())
