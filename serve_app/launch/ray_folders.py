"""What Ray leaves on this machine: the token of its clusters, and a folder of logs for each start."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import stat
from contextlib import suppress
from pathlib import Path

from serve_app.errors import StackError

KEPT = 10
"""Folders of logs that are kept, with that of the running server."""
_OTHER_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def guard_token() -> None:
    """Make sure that Ray's token is there and that only its owner can read it; Ray itself writes it for all to read.

    Whoever has the token can run programs here.

    Raises:
        StackError: it can be neither read nor written; one line that says what to do.
    """
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token" or any(map(os.environ.get, _OTHER_TOKENS)):
        return
    path = Path(os.path.expanduser("~/.ray/auth_token"))
    try:
        if not path.exists():
            _write(path)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            with suppress(OSError):  # read-only, or another user's: it was shared on purpose
                path.chmod(0o600)
        path.read_text("utf-8")
    except OSError as error:
        raise StackError(
            f"Ray keeps its token in {path}, which cannot be used ({error.strerror}): set HOME to a folder that you "
            "can write, or RAY_AUTH_TOKEN to a secret of your own, or, where nobody else can reach this machine, "
            "RAY_AUTH_MODE=disabled."
        ) from None


def _write(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32))
        with suppress(FileExistsError):  # another start was quicker
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def forget_old_logs(session: Path) -> None:
    """Remove the folders of earlier starts beside `session` but the latest; those of Rays that still run stay."""
    earlier = [
        folder
        for folder in session.parent.glob("session_*")
        if folder != session and not folder.is_symlink() and folder.is_dir()
    ]
    for folder in sorted(earlier)[: -(KEPT - 1)]:  # their names begin with the time of the start
        with suppress(OSError):
            if folder.stat().st_uid == os.geteuid() and not _in_use(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _in_use(session: Path) -> bool:
    """Whether any process still listens on a socket of that Ray."""
    return any(_answers(path) for path in (session / "sockets").glob("*"))


def _answers(path: Path) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        probe.connect(str(path))
        return True
    return False
