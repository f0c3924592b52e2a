"""A deployment's `user_config` while it serves: right settings are taken over, wrong ones are told and left.

`serve deploy` hands a changed `user_config` to `reconfigure` of each replica. If that raises, Serve stops the replica
and starts another, which raises as well: one typo would end a stage that serves. So here the old settings stay.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from serve_app.config.stack import Strict
from serve_app.config.user_config import settings
from serve_app.errors import ParleError

logger = logging.getLogger("ray.serve")

Wanted = TypeVar("Wanted", bound=Strict)
Apply = Callable[[Wanted], Awaitable[None]]


class LiveSettings(Generic[Wanted]):
    """The settings of one replica of `deployment`; `now` are those in force."""

    def __init__(self, deployment: str, kind: type[Wanted], apply: Apply[Wanted] | None = None) -> None:
        """`apply` puts settings into force; it raises a ParleError where they cannot be, and then changes nothing."""
        self.now = kind()
        self.refused: str | None = None
        """Why the latest `user_config` is not in force; None where it is."""
        self._deployment = deployment
        self._kind = kind
        self._apply = apply
        self._configured = False

    async def change(self, user_config: dict[str, Any]) -> None:
        """Take over a new `user_config`. A wrong one is logged and ignored, once there are settings to keep.

        Raises:
            ParleError: the first `user_config` is wrong; the start fails with this reason.
        """
        try:
            wanted = settings(self._kind, user_config)
            if self._apply is not None:
                await self._apply(wanted)
        except ParleError as error:
            if not self._configured:
                raise
            self._refuse(error.message)
        except Exception as error:
            if not self._configured:
                raise
            logger.exception("%s: its new user_config could not be applied", self._deployment)
            self._refuse(f"user_config: it could not be applied ({type(error).__name__}); the log has more")
        else:
            self.now, self.refused, self._configured = wanted, None, True

    def _refuse(self, why: str) -> None:
        self.refused = why
        logger.error("%s keeps its old settings. %s", self._deployment, why)
