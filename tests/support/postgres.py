"""Debian's PostgreSQL, started for a test and ended with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from support.servers import free_port
from support.waiting import wait_for

USER = "parle"
PASSWORD = "geheim-segredo"


class Postgres:
    """One server with databases of its own. It does not run as root, so a test that does gives it another user."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self._folder = folder
        self._data = folder / "data"
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        self._made += 1
        name = f"parle{self._made}"
        self._sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def create(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD, "ascii")
        if os.getuid() == 0:
            for path in (self._folder, password):
                shutil.chown(path, "postgres", "postgres")
        self._run(
            _program("initdb"),
            *("--pgdata", str(self._data), "--username", USER, "--pwfile", str(password)),
            *("--auth", "scram-sha-256", "--no-sync", "--encoding", "UTF8"),
        )

    def start(self) -> None:
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        settings = [f"-c{name}={value}" for name, value in options.items()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_program("postgres"), "-D", str(self._data), *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=_account(),
                group=_account(),
            )
        ready = [_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_for(lambda: subprocess.run(ready, check=False).returncode == 0, 30, "PostgreSQL")

    def stop(self) -> None:
        """At once: whoever is connected is cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)
            self._process = None

    def suspend(self) -> None:
        """It is there and does not answer."""
        for process in self._family():
            process.suspend()

    def resume(self) -> None:
        for process in self._family():
            process.resume()

    def _family(self) -> list[psutil.Process]:
        assert self._process is not None
        return [postmaster := psutil.Process(self._process.pid), *postmaster.children(recursive=True)]

    def _sql(self, statement: str) -> None:
        at = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", "postgres"]
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        subprocess.run([_program("psql"), "-q", *at, "-c", statement], check=True, env=environment)

    def _run(self, *command: str) -> None:
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, cwd=self._folder, user=_account(), group=_account()
        )


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server until the block is left. Its folder is where any user may get to."""
    with tempfile.TemporaryDirectory(prefix="parle-postgres-", dir="/tmp") as folder:
        server = Postgres(Path(folder))
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    assert found, "PostgreSQL is not installed: sudo scripts/install_postgresql.sh"
    return str(found[-1])


def _account() -> str | None:
    """PostgreSQL's own account, where this process could be another's."""
    return "postgres" if os.getuid() == 0 else None
