"""Where conversations are kept: what the stack and PARLE_STORE_URL say, and a start whose store cannot be used."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from support.postgres import PASSWORD, Postgres, postgres
from support.servers import free_port

from serve_app.config.store import StoreSettings, address_of
from serve_app.errors import StackError
from serve_app.store.check import check
from serve_app.store.opening import open_store
from serve_app.store.sql import SqlStore

SECRET = "postgresql://ana:geheim@db.example:6543/aulas?sslmode=require&password=geheim"


def settings(url: str) -> StoreSettings:
    return StoreSettings.model_validate({"url": url})


@pytest.mark.parametrize(
    ("url", "environment", "where"),
    [
        ("sqlite", {"XDG_DATA_HOME": "/dados"}, "SQLite file /dados/parle/conversations.sqlite3"),
        ("sqlite", {"XDG_DATA_HOME": "relative"}, "SQLite file {home}/.local/share/parle/conversations.sqlite3"),
        ("sqlite:////var/lib/parle/a.db", {}, "SQLite file /var/lib/parle/a.db"),
        ("sqlite:///a.db", {}, "SQLite file a.db"),
        ("sqlite:///~/a.db", {}, "SQLite file {home}/a.db"),
        ("memory", {}, "memory"),
        ("sqlite", {"PARLE_STORE_URL": "memory"}, "memory"),
        ("memory", {"PARLE_STORE_URL": " sqlite:////x/y "}, "SQLite file /x/y"),
        (SECRET, {}, "PostgreSQL at db.example:6543, database aulas"),
        ("postgresql", {"PARLE_STORE_URL": "postgres://db/aulas"}, "PostgreSQL at db, database aulas"),
        ("postgresql:///aulas?host=/run/postgresql", {}, "PostgreSQL at /run/postgresql, database aulas"),
    ],
)
def test_the_environment_comes_before_the_stack(url: str, environment: dict[str, str], where: str) -> None:
    assert str(address_of(settings(url), environment)) == where.format(home=Path.home())


def test_the_secret_of_an_address_is_in_no_text_of_it() -> None:
    of_stack = settings(SECRET)
    for text in (repr(of_stack), of_stack.model_dump_json(), repr(address_of(of_stack, {})), str(of_stack)):
        assert "geheim" not in text


@pytest.mark.parametrize(
    ("url", "environment", "sentence"),
    [
        ("postgresql", {}, "PARLE_STORE_URL does not say where"),
        ("memory", {"PARLE_STORE_URL": "postgresql"}, "PARLE_STORE_URL does not say where"),
        ("memory", {"PARLE_STORE_URL": "mysql://ana:geheim@db/x"}, "PARLE_STORE_URL: unknown kind of store 'mysql'"),
        ("memory", {"PARLE_STORE_URL": "ana:geheim@db/x"}, "PARLE_STORE_URL: unknown kind of store"),
        ("memory", {"PARLE_STORE_URL": "geheim_123"}, "PARLE_STORE_URL: unknown kind of store '?'"),
    ],
)
def test_an_address_that_is_none_is_refused_and_not_shown(url: str, environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(StackError) as refused:
        address_of(settings(url), environment)
    assert sentence in refused.value.message
    assert "geheim" not in refused.value.message


@pytest.fixture(scope="module")
def database() -> Generator[Postgres]:
    with postgres() as server:
        yield server


async def refused_by_both(url: str) -> list[str]:
    """What `parle check` says, and the start of an Ingress."""
    said = []
    with pytest.raises(StackError) as refused:
        check(settings(url), {})
    said.append(refused.value.message)
    with pytest.raises(StackError) as refused:
        await open_store(settings(url), "", {})
    return [*said, refused.value.message]


async def test_a_file_that_cannot_be_written_is_one_line_with_advice(tmp_path: Path) -> None:
    (tmp_path / "no-folder").write_text("")
    (tmp_path / "no-database").write_text("something else, long enough to be read as the head of a file" * 10)
    for path in (tmp_path / "no-folder/a.db", tmp_path):
        for line in await refused_by_both(f"sqlite:///{path}"):
            assert line.startswith(f"Conversations cannot be kept in the SQLite file {path} (")
            assert "PARLE_STORE_URL=memory" in line
    with pytest.raises(StackError, match="file is not a database"):
        await open_store(settings(f"sqlite:///{tmp_path}/no-database"), "", {})


async def test_a_server_that_cannot_be_reached_is_one_line_with_advice(database: Postgres) -> None:
    right = database.url("postgres")
    wrong = {
        f"postgresql://ana:geheim@127.0.0.1:{free_port()}/x": "ConnectionRefusedError",
        right.replace(PASSWORD, "geheim"): "InvalidPasswordError",
        database.url("nobodys"): "InvalidCatalogNameError",
    }
    for url, why in wrong.items():
        for line in await refused_by_both(url):
            assert line.startswith("The PostgreSQL at 127.0.0.1:")
            assert f"cannot be used ({why})" in line
            assert "PARLE_STORE_URL=memory" in line
            assert "geheim" not in line
            assert PASSWORD not in line
    assert str(check(settings(right), {})).startswith("PostgreSQL at 127.0.0.1:")


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("sslrootcert=/geheim.pem", "the option 'sslrootcert', which is not known here"),
        ("sslmode=geheim", "sslmode in the address of PostgreSQL is one of disable, allow"),
        ("connect_timeout=geheim", "connect_timeout in the address of PostgreSQL is a whole number"),
    ],
)
async def test_an_option_that_is_not_known_is_one_line(option: str, sentence: str) -> None:
    for line in await refused_by_both(f"postgresql://ana:geheim@db.example/aulas?{option}"):
        assert sentence in line
        assert "geheim" not in line
        assert "\n" not in line


async def test_options_of_libpq_reach_the_database(database: Postgres) -> None:
    url = f"{database.new_database()}?connect_timeout=7&application_name=aula&sslmode=prefer"
    store = await open_store(settings(url), "", {})
    assert isinstance(store, SqlStore)
    async with store.engine.connect() as connection:
        assert (await connection.exec_driver_sql("SHOW application_name")).scalar() == "aula"
    await store.close()


def test_a_check_makes_no_file(tmp_path: Path) -> None:
    check(settings(f"sqlite:///{tmp_path}/new/folder/a.db"), {})
    assert not (tmp_path / "new").exists()
