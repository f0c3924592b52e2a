"""Models on the Hugging Face hub: `organisation/name`, or `organisation/name@revision` to pin one.

huggingface_hub is imported only here and only when a hub id is used; it keeps its own cache
(HF_HOME), reads HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE, and draws its own progress bars.
"""

from __future__ import annotations

import errno
import io
import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from serve_app.errors import StackError

Progress = Callable[[int, int], None]
"""Told the bytes done and the bytes in all."""

_HUB_ID = re.compile(r"[A-Za-z0-9]\w*(?:[.-]\w+)*/\w+(?:[.-]\w+)*(?:@[\w./-]+)?", re.ASCII)

OTHER_FRAMEWORKS = ("*.h5", "*.msgpack", "*.ot", "*.tflite", "*.mlmodel", "*.mlpackage/*", "coreml/*")
"""The same weights for frameworks that no engine here uses: never downloaded."""


def is_hub_id(name: str) -> bool:
    """Whether the name has the form of a hub id; says nothing of its existence."""
    repo = name.partition("@")[0]
    return _HUB_ID.fullmatch(name) is not None and "--" not in repo and not repo.endswith(".git")


def check(name: str, files: Sequence[str] | None = None) -> None:
    """Raise StackError when the download cannot work: no library, or offline and not in the cache.

    Sends nothing: whether an id exists, or is gated, shows only at `download`.
    """
    if find_spec("huggingface_hub") is None:
        raise _no_library(name)
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        download(name, files)


def download(name: str, files: Sequence[str] | None = None, progress: Progress | None = None) -> Path:
    """The model's folder, downloaded where the cache has it not. `files` are glob patterns (None: all).

    `progress` hears of the bytes, done and total; the total grows while the files are looked up.

    Raises StackError with one line: gated, unknown, offline, unreachable, broken off, disk full.
    """
    try:
        from huggingface_hub import errors
    except ImportError as error:
        raise _no_library(name) from error
    # httpx.HTTPError or httpx2.HTTPError, whichever this version of the library stands on.
    transport = cast(type[Exception], errors.HfHubHTTPError.__mro__[1])
    try:
        return _snapshot(name, files, tqdm_class=_told_to(progress) if progress is not None else None)
    except (transport, OSError, RuntimeError, ValueError) as error:
        repo, _, revision = name.partition("@")
        raise StackError(_explain(repo, revision, error)) from error


def cached(name: str, files: Sequence[str] | None = None) -> Path | None:
    """The model's folder as far as the cache knows it, None where it does not. Sends nothing."""
    if find_spec("huggingface_hub") is None:
        return None
    try:
        return _snapshot(name, files, local_files_only=True)
    except (OSError, ValueError):  # LocalEntryNotFoundError is an OSError
        return None


def _snapshot(name: str, files: Sequence[str] | None, **options: Any) -> Path:
    from huggingface_hub import snapshot_download

    repo, _, revision = name.partition("@")
    folder = snapshot_download(
        repo,
        revision=revision or None,
        allow_patterns=list(files) if files is not None else None,
        ignore_patterns=list(OTHER_FRAMEWORKS),
        **options,
    )
    return Path(folder)


def may_download(name: str) -> bool:
    """Whether a gated model can be had: a token is set, or the model is in the cache already. Sends nothing."""
    from huggingface_hub import get_token, try_to_load_from_cache

    repo, _, revision = name.partition("@")
    return bool(get_token()) or isinstance(try_to_load_from_cache(repo, "config.json", revision=revision or None), str)


def page(name: str) -> str:
    """Where a person reads about the model and accepts its licence."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{name.partition('@')[0]}"


def _told_to(progress: Progress) -> type[Any]:
    """A progress bar that draws nothing and tells `progress` of the bytes that are here; the library has others too."""
    from tqdm.auto import tqdm

    class Told(tqdm):  # pyright: ignore[reportMissingTypeArgument, reportUntypedBaseClass]
        def __init__(self, *args: Any, **options: Any) -> None:
            self._counts = options.get("unit") == "B" and options.get("desc") != "Downloading bytes"
            options.pop("name", None)
            super().__init__(*args, **{**options, "gui": False, "disable": False, "file": io.StringIO()})

        def update(self, n: float | None = 1) -> bool | None:
            drawn = super().update(n)
            if self._counts and self.total:
                progress(int(min(self.n, self.total)), int(self.total))
            return drawn

    return Told


def _explain(repo: str, revision: str, error: BaseException) -> str:
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{repo}"
    # The library says "not found locally" of a hub that answered badly or not at all: look behind it.
    cause = (error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) else None) or error
    status = cause.response.status_code if isinstance(cause, errors.HfHubHTTPError) else None
    if isinstance(error, errors.GatedRepoError):
        return f"{repo} is gated: accept its licence at {page} and set HF_TOKEN to a token of that account"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"no model {repo} at {constants.ENDPOINT} that this machine may see: check the name, "
            f"or set HF_TOKEN if it is private; a local folder would be written ./{repo}"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} has no revision {revision or 'main'}: see {page}/commits/main"
    if isinstance(error, errors.DisabledRepoError):
        return f"{repo} was disabled on the hub: see {page}"
    if status == 401:
        return f"the hub refuses the token in HF_TOKEN (for {repo}): make a new one, or unset it"
    if constants.HF_HUB_OFFLINE and isinstance(error, errors.LocalEntryNotFoundError):
        return f"{repo} is not wholly in the hub's cache and HF_HUB_OFFLINE is set: unset it, or download first"
    if status is not None:
        return f"{constants.ENDPOINT} answered {status} for {repo}: try again later, see {page}"
    if isinstance(error, errors.LocalEntryNotFoundError):
        return (
            f"{repo} is not in the hub's cache and {constants.ENDPOINT} cannot be reached "
            f"({type(cause).__name__}: {_one_line(cause)}): check the network, or name a local folder"
        )
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return f"no room for {repo} in {constants.HF_HUB_CACHE}: make room, or set HF_HOME to another disk"
    why = f"{type(error).__name__}: {_one_line(error)}"
    return f"the download of {repo} broke off ({why}): start again, it resumes"


def _one_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no details")


def _no_library(name: str) -> StackError:
    return StackError(f"{name} is on the hub, which needs huggingface_hub: pip install 'parle-serve[gpu]'")
