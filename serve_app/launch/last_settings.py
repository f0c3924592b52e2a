"""The latest right `user_config` of each deployment, in Ray's own key-value store.

So a replica that starts while its file has a wrong `user_config` finds the settings that were in force before. They
live as long as the Ray cluster.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

from ray import serve
from ray.exceptions import RayError

from serve_app.launch import ray_private

logger = logging.getLogger("ray.serve")


@dataclass(frozen=True, slots=True)
class LastSettings:
    """The `user_config` of one application's deployments that was right last. Works inside a replica only."""

    def load(self, deployment: str) -> dict[str, Any] | None:
        try:
            found = ray_private.remembered(_key(deployment))
        except RayError:
            return None
        return None if found is None else json.loads(found)

    def save(self, deployment: str, user_config: dict[str, Any]) -> None:
        try:
            ray_private.remember(_key(deployment), json.dumps(user_config).encode())
        except RayError as error:
            logger.warning("the settings of %s are not remembered: %s", deployment, error)


def _key(deployment: str) -> bytes:
    return f"{serve.get_replica_context().app_name}/{deployment}".encode()
