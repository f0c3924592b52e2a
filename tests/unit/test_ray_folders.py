"""What Ray leaves on a machine, in folders of the test's own: `serve_app.launch.ray_folders`."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.errors import StackError
from serve_app.launch.ray_folders import KEPT, forget_old_logs, guard_token


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".ray" / "auth_token"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_token_is_for_its_owner_only_and_stays(token: Path) -> None:
    guard_token()
    written = token.read_text()
    guard_token()
    assert len(written) == 64
    assert token.read_text() == written
    assert (mode(token), mode(token.parent)) == (0o600, 0o700)
    assert list(token.parent.iterdir()) == [token]


def test_a_token_that_ray_wrote_for_all_to_read_is_closed(token: Path) -> None:
    token.parent.mkdir()
    token.write_text("of ray")
    token.chmod(0o644)
    guard_token()
    assert (mode(token), token.read_text()) == (0o600, "of ray")


def test_a_home_that_cannot_be_written_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.write_text("no folder")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(StackError) as refused:
        guard_token()
    assert f"{home}/.ray/auth_token, which cannot be used (Not a directory): set HOME" in refused.value.message
    assert "\n" not in refused.value.message
    for name, value in (("RAY_AUTH_MODE", "disabled"), ("RAY_AUTH_TOKEN", "secret")):
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            guard_token()


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path as short as that of a socket has to be."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        yield Path(folder)


def test_the_logs_of_the_last_starts_are_kept_and_those_of_a_ray_that_runs(short: Path) -> None:
    folders = [short / f"session_2026-11-{day:02}_07-31-46_426975_15537" for day in range(1, KEPT + 4)]
    for folder in folders:
        (folder / "sockets").mkdir(parents=True)
        (folder / "logs").mkdir()
    (short / "session_latest").symlink_to(folders[-1])
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folders[1] / "sockets" / "raylet"))
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(folders[0] / "sockets" / "raylet"))
        alive.listen()
        forget_old_logs(folders[-1])
    kept = {folder.name for folder in short.iterdir()}
    assert kept == {folder.name for folder in [folders[0], *folders[-KEPT:]]} | {"session_latest"}
