"""A deployment's `user_config` while it serves: right settings are taken over, wrong ones are told and left.

`serve deploy` hands a changed `user_config` to `reconfigure` of each replica. If that raises, Serve stops the replica
and starts another, which raises as well: one typo would end a stage that serves. So here the old settings stay.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from serve_app.config.strict import Strict
from serve_app.config.user_config import settings
from serve_app.errors import ParleError

logger = logging.getLogger("ray.serve")

Wanted = TypeVar("Wanted", bound=Strict)
Apply = Callable[[Wanted], Awaitable[None]]


class SettingsMemory(Protocol):
    """Keeps the latest right `user_config` of each deployment for replicas that start later. Its methods block."""

    def load(self, deployment: str) -> dict[str, Any] | None: ...

    def save(self, deployment: str, user_config: dict[str, Any]) -> None: ...


class LiveSettings(Generic[Wanted]):
    """The settings of one replica of `deployment`; `now` are those in force."""

    def __init__(
        self,
        deployment: str,
        kind: type[Wanted],
        apply: Apply[Wanted] | None = None,
        *,
        memory: SettingsMemory | None = None,
    ) -> None:
        """`apply` puts settings into force; it raises a ParleError where they cannot be, and then changes nothing."""
        self.now = kind()
        self.refused: str | None = None
        """Why the latest `user_config` is not in force; None where it is."""
        self._deployment = deployment
        self._kind = kind
        self._apply = apply
        self._memory = memory
        self._configured = False

    async def change(self, user_config: dict[str, Any]) -> None:
        """Take over a new `user_config`. A wrong one is logged and ignored where there are settings to keep.

        A replica that starts keeps those of the replicas before it.

        Raises:
            ParleError: the first `user_config` of all is wrong; the start fails with this reason.
        """
        try:
            await self._use(user_config)
        except Exception as error:  # of any kind: raised to Serve, it would end a stage that serves
            if not self._configured and not await self._use_last():
                raise
            if isinstance(error, ParleError):
                why = error.message
            else:
                logger.exception("%s: its new user_config could not be applied", self._deployment)
                why = f"user_config: it could not be applied ({type(error).__name__}); the log has more"
            self.refused = why
            logger.error("%s keeps its old settings. %s", self._deployment, why)
        else:
            self.refused = None
            if self._memory is not None:
                await asyncio.to_thread(self._memory.save, self._deployment, user_config)

    async def _use(self, user_config: dict[str, Any]) -> None:
        wanted = settings(self._kind, user_config)
        if self._apply is not None:
            await self._apply(wanted)
        self.now, self._configured = wanted, True

    async def _use_last(self) -> bool:
        """Take over what the replicas before this one had; False where there is nothing that fits."""
        last = None if self._memory is None else await asyncio.to_thread(self._memory.load, self._deployment)
        if last is None:
            return False
        try:
            await self._use(last)
        except ParleError:
            return False
        return True
