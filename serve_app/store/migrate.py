"""Brings a database to the tables of this version. Two processes may do so at once: the second finds it done."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from serve_app.errors import StackError

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_278_531
"""Any number, the same in every process: PostgreSQL's advisory lock. In SQLite the transaction itself is the lock."""


async def migrate(engine: AsyncEngine) -> None:
    """Run the migrations that are missing, in one transaction.

    Raises:
        StackError: the database was written by a newer version.
        Exception: of the database, where it cannot be reached.
    """
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StackError(
            "The stored conversations were written by a newer version of Parle, which this one cannot read: update "
            "Parle, or set PARLE_STORE_URL to another store."
        ) from error
