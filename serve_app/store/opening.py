"""Opens the store that a stack asks for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from serve_app.config.store import StoreSettings, address_of
from serve_app.errors import StackError
from serve_app.store.engine import FAILED, LOCKED_S, engine_for
from serve_app.store.memory import MemoryStore
from serve_app.store.migrate import migrate
from serve_app.store.sql import SqlStore
from serve_app.store.unreachable import unreachable

MIGRATE_S = 120.0
LOOK_AGAIN_S = 0.05


async def open_store(
    settings: StoreSettings, stack: str = "", environment: Mapping[str, str] = os.environ
) -> MemoryStore | SqlStore:
    """The store, its tables brought up to date.

    Raises:
        StackError: it cannot be reached or written; the line says what to do.
    """
    address = address_of(settings, environment)
    if address.kind == "memory":
        return MemoryStore(stack=stack)
    engine = engine_for(address)
    try:
        async with asyncio.timeout(MIGRATE_S):
            await _migrate_once_free(engine)
    except FAILED as error:
        await engine.dispose()
        raise unreachable(address, error) from None
    except StackError:
        await engine.dispose()
        raise
    return SqlStore(engine, address, stack, settings.keep_days, settings.keep_learners_days)


async def _migrate_once_free(engine: AsyncEngine) -> None:
    """Of two processes that turn a new file's log on at once SQLite tells one that it is locked, without waiting."""
    until = asyncio.get_running_loop().time() + LOCKED_S
    while True:
        try:
            return await migrate(engine)
        except OperationalError as error:
            if "database is locked" not in str(error) or asyncio.get_running_loop().time() > until:
                raise
            await asyncio.sleep(LOOK_AGAIN_S)
