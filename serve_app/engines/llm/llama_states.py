"""What llama.cpp has read of a prompt, in files: the next start of the server need not read it again."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from serve_app.engines.llm.memory_file import SUFFIX, sweep
from serve_app.protocols import Message

DRAFT = ".draft"
"""The suffix of a state that is being written."""


class PromptStates:
    """Files with the states of slots. A state is valid for one model file, context length, template and prompt.

    Without a writable `folder` a temporary one is used: then every start reads the prompt again.
    """

    KEPT = 8
    """Number of files kept; the oldest are deleted. One of the default tutor has 12 MB."""

    def __init__(self, model: Path, folder: Path | None, form: str) -> None:
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                sweep(folder, SUFFIX, DRAFT)
        except OSError:
            folder = None  # read-only
        if folder is not None and not os.access(folder, os.W_OK):
            folder = None  # another user's
        self._own = None if folder is not None else tempfile.TemporaryDirectory(prefix="parle-")
        if self._own is not None:
            folder = Path(self._own.name)
        assert folder is not None
        self.folder = folder
        stat = model.stat()
        library = version("xllamacpp")
        self._fits = f"{model.resolve()} {stat.st_size} {stat.st_mtime_ns} {library} {form}"

    def key(self, messages: Sequence[Message]) -> str:
        """Names the state in which these messages are read."""
        return hashlib.sha256(f"{self._fits} {list(messages)}".encode()).hexdigest()[:32]

    def find(self, key: str) -> str | None:
        """The file of that state, None without a complete one.

        Its size is part of its name, since llama.cpp accepts a truncated file; that is removed here.
        """
        for path in self.folder.glob(f"{key}.*.slot"):
            if path.stem == f"{key}.{path.stat().st_size}":
                return path.name
            path.unlink(missing_ok=True)
        return None

    def drop(self, name: str) -> None:
        """Remove a file that llama.cpp refused."""
        with suppress(OSError):
            (self.folder / name).unlink(missing_ok=True)

    def draft(self, key: str) -> str:
        """A unique name to write a state under before it is complete: two replicas may do so at once."""
        return f"{key}.{secrets.token_hex(4)}{DRAFT}"

    def keep(self, draft: str, key: str) -> str | None:
        """Rename a complete draft to its final name; None if that fails, and the next start reads the prompt again."""
        try:
            path = self.folder / draft
            path.chmod(0o600)
            kept = path.rename(self.folder / f"{key}.{path.stat().st_size}.slot")
            states = sorted(self.folder.glob("*.slot"), key=lambda state: state.stat().st_mtime)
            for old in states[: -self.KEPT]:
                old.unlink(missing_ok=True)
        except OSError:
            return None
        return kept.name
