"""Where conversations are kept: `store` in the YAML's `args`, or PARLE_STORE_URL."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, SecretStr, field_validator

from serve_app.config.strict import Strict
from serve_app.errors import StackError, did_you_mean

URL_VARIABLE = "PARLE_STORE_URL"
FILE_NAME = "conversations.sqlite3"
Kind = Literal["sqlite", "postgresql", "memory"]
KINDS: dict[str, Kind] = {"sqlite": "sqlite", "postgresql": "postgresql", "postgres": "postgresql", "memory": "memory"}


class StoreSettings(Strict):
    """`args.store`."""

    url: SecretStr = SecretStr("sqlite")
    """`sqlite` (a file in the user's data folder), `sqlite:///FOLDER/FILE`, `postgresql://USER:PASSWORD@HOST/DATABASE`,
    `postgresql` (its address is in PARLE_STORE_URL) or `memory`."""
    keep_days: Annotated[float, Field(gt=0)] = 90.0
    """A conversation is deleted this long after its last turn."""
    keep_learners_days: Annotated[float, Field(gt=0)] = 90.0
    """What is remembered of a learner is deleted this long after their last turn."""

    @field_validator("url", mode="before")
    @classmethod
    def _know_the_kind(cls, url: Any) -> Any:
        """Raises a ValueError that never has the URL in it, which may have a password."""
        text = url.get_secret_value() if isinstance(url, SecretStr) else url
        if not isinstance(text, str):
            raise ValueError("is text: sqlite, sqlite:///FILE, postgresql://USER:PASSWORD@HOST/DATABASE or memory")
        if (wrong := _wrong(text)) is not None:
            raise ValueError(wrong)
        return url


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where the conversations of this process are kept. Its text, unlike `url`, has no secret in it."""

    kind: Kind
    url: str = ""
    """For PostgreSQL, as the user gave it."""
    path: Path | None = None
    """For SQLite."""

    def __repr__(self) -> str:
        return f"StoreAddress({self})"

    def __str__(self) -> str:
        """For messages and logs."""
        if self.kind == "sqlite":
            return f"SQLite file {self.path}"
        if self.kind == "memory":
            return "memory"
        at = urlsplit(self.url)
        host = at.hostname or dict(parse_qsl(at.query)).get("host") or "this machine"
        return f"PostgreSQL at {host}{f':{port}' if (port := at.port) else ''}, database {at.path.lstrip('/') or '?'}"

    @property
    def is_shared(self) -> bool:
        """Whether processes on several machines can use it together."""
        return self.kind == "postgresql"


def address_of(settings: StoreSettings, environment: Mapping[str, str] = os.environ) -> StoreAddress:
    """Where conversations are kept: PARLE_STORE_URL, or else what the stack says.

    Raises:
        StackError: the variable has no address of a store, or one is needed. No message has the address in it.
    """
    given = environment.get(URL_VARIABLE, "").strip()
    if given and (wrong := _wrong(given)) is not None:
        raise StackError(f"{URL_VARIABLE}: {wrong}")
    url = given or settings.url.get_secret_value()
    kind = KINDS[url.partition(":")[0]]
    if kind == "memory":
        return StoreAddress("memory")
    if kind == "postgresql":
        if "://" not in url:
            raise StackError(
                f"The stack keeps conversations in PostgreSQL and {URL_VARIABLE} does not say where: set it to "
                "postgresql://USER:PASSWORD@HOST/DATABASE, or to memory to keep none."
            )
        return StoreAddress("postgresql", url)
    if "://" in url:
        return StoreAddress("sqlite", path=Path(urlsplit(url).path.removeprefix("/")).expanduser())
    return StoreAddress("sqlite", path=data_folder(environment) / FILE_NAME)


def kind_of(settings: StoreSettings, environment: Mapping[str, str] = os.environ) -> Kind:
    """The kind of store that `address_of` would find, wherever that is."""
    given = environment.get(URL_VARIABLE, "").strip().partition(":")[0]
    return KINDS[given if given in KINDS else settings.url.get_secret_value().partition(":")[0]]


def data_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """The user's folder for Parle's data, as the XDG specification has it."""
    home = environment.get("XDG_DATA_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path(os.path.expanduser("~")) / ".local/share"
    return base / "parle"


def _wrong(url: str) -> str | None:
    """What is wrong with the address of a store, without a word of it but its kind; None if nothing is."""
    head, colon, rest = url.partition(":")
    if head not in KINDS:
        name = head if colon or head.isalpha() else "?"  # what has no kind at all may be a password
        return did_you_mean("kind of store", name, KINDS)
    if not colon or url in KINDS:
        return None
    try:
        at = urlsplit(url)
        at.port  # noqa: B018 - raises where it is no number
    except ValueError:
        return "is no address: a character in the password may have to be written as %XX"
    if KINDS[head] == "memory" or not rest.startswith("//"):
        return f"'{head}:' is not followed by an address, such as sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    if KINDS[head] == "sqlite" and (at.netloc or len(at.path) < 2 or at.query):
        return "a file is sqlite:///FILE: three strokes, four before a path from the root"
    if KINDS[head] == "postgresql" and len(at.path) < 2:
        return "PostgreSQL needs the name of a database: postgresql://USER:PASSWORD@HOST/DATABASE"
    return None
