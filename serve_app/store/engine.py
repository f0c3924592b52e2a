"""A database engine for the address of a store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from serve_app.config.store import StoreAddress
from serve_app.errors import StackError
from serve_app.store.unreachable import unreachable

CONNECT_S = 3.0
"""Longest wait for a connection to PostgreSQL."""
STATEMENT_S = 10.0
"""Longest wait for an answer of it."""
LOCKED_S = 10.0
"""Longest wait for another process that writes to the SQLite file, a migration included."""
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
OPTIONS = ("sslmode", "connect_timeout", "application_name")
"""Of libpq's options those that an address may have."""
OF_THE_ADDRESS = ("host", "port", "user", "password", "database")
"""May be written as options, too."""
FAILED = (SQLAlchemyError, OSError, TimeoutError)
"""What the database raises, its drivers' connections included."""
REFUSED = ("22", "23", "42")
"""Classes of SQLSTATE in which the same statement fails again: its data, a constraint, a name or a right."""


def engine_for(address: StoreAddress) -> AsyncEngine:
    """An engine; SQLite's file and its folder are made, for this user only.

    Raises:
        StackError: the file cannot be written.
    """
    if address.path is not None:
        _make_file(address.path)
        engine = create_async_engine(
            URL.create("sqlite+aiosqlite", database=str(address.path)),
            connect_args={"timeout": LOCKED_S},
            pool_size=1,  # one writes at a time anyway, and SQLite waits for a lock by sleeping
            max_overflow=0,
        )
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "begin", _begin)
        return engine
    return create_async_engine(
        postgresql_url(address.url),
        connect_args={"timeout": CONNECT_S, "command_timeout": STATEMENT_S, **_options(address.url)},
        pool_size=5,
        max_overflow=5,
        pool_timeout=CONNECT_S,
        pool_recycle=1800,
    )


def postgresql_url(url: str) -> URL:
    """The address for the driver asyncpg; what else libpq's form has of the connection is in `_options`."""
    made = make_url(url).set(drivername="postgresql+asyncpg")
    return made.difference_update_query([name for name in made.query if name in OPTIONS])


def _options(url: str) -> dict[str, Any]:
    """Options of libpq, as asyncpg calls them.

    Raises:
        StackError: one that is not known here, or whose value is none; no other word of the address is in the line.
    """
    given = {name: one if isinstance(one, str) else one[-1] for name, one in make_url(url).query.items()}
    if unknown := sorted(given.keys() - {*OPTIONS, *OF_THE_ADDRESS}):
        raise StackError(
            f"The address of PostgreSQL has the option {unknown[0]!r}, which is not known here: leave it out. "
            f"Known are {', '.join(OPTIONS)}."
        )
    options: dict[str, Any] = {}
    if (mode := given.get("sslmode")) is not None:
        if mode not in SSL_MODES:
            raise StackError(f"sslmode in the address of PostgreSQL is one of {', '.join(SSL_MODES)}.")
        options["ssl"] = mode
    if (seconds := given.get("connect_timeout")) is not None:
        if not seconds.isdecimal() or int(seconds) == 0:
            raise StackError("connect_timeout in the address of PostgreSQL is a whole number of seconds, 1 or more.")
        options["timeout"] = int(seconds)
    if (name := given.get("application_name")) is not None:
        options["server_settings"] = {"application_name": name}
    return options


def is_lost(error: BaseException) -> bool:
    """Whether trying again may help; otherwise the database refuses what it was asked to write, now and later."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, FAILED) and not isinstance(error, StatementError)
    if error.connection_invalidated:
        return True
    if state := getattr(error.orig, "sqlstate", None):
        return state[:2] not in REFUSED
    return not isinstance(error, IntegrityError | DataError | ProgrammingError)


def _make_file(path: Path) -> None:
    try:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise unreachable(StoreAddress("sqlite", path=path), error) from None


def _prepare(connection: Any, _: Any) -> None:
    """Settings of a new SQLite connection. Python's own transactions are switched off: see `_begin`."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for setting in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """At once for writing: a transaction that reads first and then has to wait for another writer would fail."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
