"""API keys: who may use the server, from the environment or a file that is read again whenever it changes.

A line of the file is `NAME sha256:HEX`, and `parle key NAME` makes one. Only hashes are kept, in the file and in
memory. A key is 256 random bits, so a plain hash is enough: there is no dictionary to try. Two lines may have the same
name, while an old key is being replaced by a new one.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from serve_app.errors import StackError

logger = logging.getLogger("ray.serve")

KEYS_VARIABLE = "PARLE_API_KEYS"
FILE_VARIABLE = "PARLE_KEYS_FILE"
LOOK_S = 1.0
"""How often the file is looked at, at most."""
SHORTEST = 20
"""Characters of a key that somebody thought of; those that `parle key` makes are longer."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_PREFIX = "sha256:"
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Key:
    """A known key, without the secret itself."""

    name: str
    digest: str
    """SHA-256 of the secret, in hexadecimal."""

    @property
    def line(self) -> str:
        """The key as a line of the file."""
        return f"{self.name} {_PREFIX}{self.digest}"


def make(name: str) -> tuple[str, Key]:
    """A new secret, to be shown once, and its key.

    Raises:
        StackError: no name that a key may have.
    """
    secret = f"parle_{secrets.token_urlsafe(32)}"
    return secret, _key(name, secret, "the name")


class Keys:
    """The keys that this server accepts now."""

    def __init__(
        self,
        file: Path | None = None,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`file` is that of the stack; PARLE_KEYS_FILE replaces it.

        Raises:
            StackError: the file or the variable cannot be read. No message contains a key.
        """
        path = environment.get(FILE_VARIABLE) or file
        self._path = Path(path).expanduser() if path else None
        self._clock = clock
        self._given = _from_variable(environment.get(KEYS_VARIABLE, ""))
        self._in_file: tuple[Key, ...] = ()
        self._state: object = None
        self._look_at = clock() + LOOK_S
        if self._path is not None:
            self._state = _state(self._path)
            self._in_file = read(self._path)

    @property
    def required(self) -> bool:
        """Whether a key is needed at all: one was set, or a file was named, even if it has no line left."""
        return self._path is not None or bool(self._given)

    def known(self) -> tuple[Key, ...]:
        """All keys, after a look at the file."""
        if self._path is not None and self._clock() >= self._look_at:
            self._look_at = self._clock() + LOOK_S
            self._look(self._path)
        return (*self._given, *self._in_file)

    def find(self, secret: str) -> Key | None:
        """The key with that secret. Takes the same time whichever it is, and however much of it is right."""
        digest = _hashed(secret)
        found = None
        for key in self.known():
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def _look(self, path: Path) -> None:
        try:
            state = _state(path)
            if state == self._state:
                return
            self._in_file = read(path)
        except StackError as error:
            logger.error("%s The keys stay as they were.", error.message)
            return
        self._state = state
        logger.info("the file of keys has changed: %d keys", len(self._in_file))


def read(path: Path) -> tuple[Key, ...]:
    """The keys of a file.

    Raises:
        StackError: it cannot be read, or a line of it is no key.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise StackError(f"The keys in {path} cannot be read ({type(error).__name__}).") from None
    keys = []
    for number, line in enumerate(lines, 1):
        if not (words := line.partition("#")[0].split()):
            continue
        if len(words) != 2 or not NAME.fullmatch(words[0]) or not _HASH.fullmatch(words[1]):
            raise StackError(f"Line {number} of {path} is not 'NAME sha256:HEX', as `parle key NAME` writes it.")
        keys.append(Key(words[0], words[1].removeprefix(_PREFIX)))
    return tuple(keys)


def _from_variable(text: str) -> tuple[Key, ...]:
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    return tuple(
        _key(name.strip(), secret.strip(), f"entry {number} of {KEYS_VARIABLE} (NAME:KEY,NAME:KEY)")
        for number, (name, _, secret) in enumerate((entry.partition(":") for entry in entries), 1)
    )


def _key(name: str, secret: str, where: str) -> Key:
    if not NAME.fullmatch(name):
        raise StackError(f"{where}: a key's name is 1 to 32 of A-Z a-z 0-9 . _ -, beginning with a letter or digit.")
    if _HASH.fullmatch(secret):
        return Key(name, secret.removeprefix(_PREFIX))
    if len(secret) < SHORTEST or not secret.isascii():
        raise StackError(f"{where}: a key has {SHORTEST} ASCII characters or more; `parle key NAME` makes one.")
    return Key(name, _hashed(secret))


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _state(path: Path) -> tuple[int, int, int]:
    """What is another when the file was changed or replaced: time of change, size, inode."""
    try:
        found = path.stat()
    except OSError as error:
        raise StackError(f"The keys in {path} cannot be read ({type(error).__name__}).") from None
    return found.st_mtime_ns, found.st_size, found.st_ino
