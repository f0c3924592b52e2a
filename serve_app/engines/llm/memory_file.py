"""A file for a library that knows only file names, with its bytes in memory."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SUFFIX = ".aside"
OLD_S = 60.0
"""Files are in use for some tens of milliseconds; what is older was left by a process that was killed."""


@contextmanager
def memory_file(folder: Path) -> Iterator[Path]:
    """A file in `folder` that is gone when the block is left.

    On Linux it is a link to a file without a name in memory: of a killed process, no byte stays on the disk.
    Elsewhere it is a file that only its owner may read.

    Raises:
        OSError: the folder cannot be written.
    """
    path = folder / f"{secrets.token_hex(8)}{SUFFIX}"
    number: int | None = None
    try:
        if sys.platform == "linux":
            number = os.memfd_create("parle")
            path.symlink_to(f"/proc/self/fd/{number}")
        else:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield path
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        if number is not None:
            os.close(number)


def sweep(folder: Path, *suffixes: str) -> None:
    """Remove what killed processes left in `folder`: old files, or links, that end in one of `suffixes`."""
    oldest = time.time() - OLD_S
    for path in folder.iterdir():
        with suppress(OSError):  # another process sweeps as well, or the file is not ours
            if path.suffix in suffixes and path.lstat().st_mtime < oldest:
                path.unlink()
