"""Whether the store that a stack asks for can be opened from here."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from serve_app.config.store import StoreAddress, StoreSettings, address_of
from serve_app.store.unreachable import unreachable

# SQLAlchemy is imported where it is used: `parle check` must not wait for it.

CHECK_S = 5.0


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
    from serve_app.store.engine import FAILED, engine_for

    engine = engine_for(address)
    try:
        async with asyncio.timeout(CHECK_S), engine.connect():
            pass
    except FAILED as error:
        raise unreachable(address, error) from None
    finally:
        await engine.dispose()
