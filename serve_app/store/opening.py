"""Opens the store that a stack asks for, and says before that whether it can be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from serve_app.config.store import StoreAddress, StoreSettings, address_of
from serve_app.errors import StackError
from serve_app.store.engine import engine_for, unreachable
from serve_app.store.memory import MemoryStore
from serve_app.store.migrate import migrate
from serve_app.store.sql import SqlStore
from serve_app.store.writer import FAILED

MIGRATE_S = 120.0
CHECK_S = 5.0


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
            await migrate(engine)
    except FAILED as error:
        await engine.dispose()
        raise unreachable(address, error) from None
    except StackError:
        await engine.dispose()
        raise
    return SqlStore(engine, address, stack, settings.keep_days)


def check(settings: StoreSettings, environment: Mapping[str, str] = os.environ) -> StoreAddress:
    """Whether the store can be opened from here; changes nothing.

    Raises:
        StackError: it cannot; the line says what to do.
    """
    address = address_of(settings, environment)
    if address.path is not None:
        _check_file(address)
    elif address.kind == "postgresql":
        with ThreadPoolExecutor(1) as thread:  # this one may have an event loop already
            thread.submit(asyncio.run, _check_server(address)).result()
    return address


def _check_file(address: StoreAddress) -> None:
    path = address.path
    assert path is not None
    nearest = next(folder for folder in (path, *path.parents) if folder.exists() or folder == folder.parent)
    if nearest == path and path.is_dir():
        raise unreachable(address, IsADirectoryError("is a folder"))
    needed = os.R_OK | os.W_OK | (os.X_OK if nearest.is_dir() else 0)
    if not os.access(nearest, needed) or (nearest != path and not nearest.is_dir()):
        raise unreachable(address, PermissionError(f"{nearest} cannot be written"))


async def _check_server(address: StoreAddress) -> None:
    engine = engine_for(address)
    try:
        async with asyncio.timeout(CHECK_S), engine.connect():
            pass
    except FAILED as error:
        raise unreachable(address, error) from None
    finally:
        await engine.dispose()
