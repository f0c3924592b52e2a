"""Downloads models from the Hugging Face hub; how they are named is in hub_names.py.

huggingface_hub is imported only here, and only when a hub name is used. It keeps its own cache
(HF_HOME) and reads HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from serve_app.errors import StackError, did_you_mean, first_line
from serve_app.weights import hub_names
from serve_app.weights.hub_names import HubName
from serve_app.weights.progress import BytesProgress

OTHER_FRAMEWORKS = ("*.h5", "*.msgpack", "*.ot", "*.tflite", "*.mlmodel", "*.mlpackage/*", "coreml/*")
"""The same weights for frameworks that no engine here uses: never downloaded."""


def check(name: str, files: Sequence[str] | None = None) -> None:
    """Raise StackError when the download cannot work: no library, or offline and not in the cache.

    Sends nothing: whether a repository exists, or is gated, shows only in `download`.
    """
    if find_spec("huggingface_hub") is None:
        raise _no_library(name)
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        download(name, files)


def download(name: str, files: Sequence[str] | None = None, progress: BytesProgress | None = None) -> Path:
    """The model's folder, or its file where the name says one, downloaded unless the cache has it.

    `files` are glob patterns that limit what a whole repository sends (None: everything). The total
    that `progress` is told grows while the files are looked up.

    Raises StackError with one line: gated, unknown, offline, unreachable, broken off, disk full.
    """
    try:
        from huggingface_hub import errors
    except ImportError as error:
        raise _no_library(name) from error
    # httpx.HTTPError or httpx2.HTTPError, whichever this version of the library uses.
    transport = cast(type[Exception], errors.HfHubHTTPError.__mro__[1])
    model = _parsed(name)
    try:
        return _get(model, files, tqdm_class=_told_to(progress) if progress is not None else None)
    except (transport, OSError, RuntimeError, ValueError) as error:
        raise StackError(_explain(model, error)) from error


def cached(name: str, files: Sequence[str] | None = None) -> Path | None:
    """The model's folder or file in the cache, None if it is not there. Sends nothing.

    Of a folder it is not known whether all its files are there.
    """
    if find_spec("huggingface_hub") is None:
        return None
    try:
        return _get(_parsed(name), files, local_files_only=True)
    except (OSError, ValueError):  # LocalEntryNotFoundError is an OSError
        return None


def _parsed(name: str) -> HubName:
    model = hub_names.parse(name)
    if model is None:
        raise StackError(f"'{name}' is no name of a model on the hub")
    return model


def _get(model: HubName, files: Sequence[str] | None, **options: Any) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download

    if model.file is not None:
        return Path(hf_hub_download(model.repo, model.file, revision=model.revision, **options))
    folder = snapshot_download(
        model.repo,
        revision=model.revision,
        allow_patterns=list(files) if files is not None else None,
        ignore_patterns=list(OTHER_FRAMEWORKS),
        **options,
    )
    return Path(folder)


def may_download(name: str) -> bool:
    """Whether a gated model can be downloaded: a token is set, or it is in the cache already. Sends nothing."""
    from huggingface_hub import get_token, try_to_load_from_cache

    model = _parsed(name)
    found = try_to_load_from_cache(model.repo, model.file or "config.json", revision=model.revision)
    return bool(get_token()) or isinstance(found, str)


def page(name: str) -> str:
    """The model's page, where its licence is accepted."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{_parsed(name).repo}"


def _told_to(progress: BytesProgress) -> type[Any]:
    """A class for the library's progress bars that draws nothing and calls `progress` with the bytes received."""
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


def _explain(model: HubName, error: BaseException) -> str:
    from huggingface_hub import constants, errors

    repo, page = model.repo, f"{constants.ENDPOINT}/{model.repo}"
    # If the hub fails or does not answer, the library reports "not found locally": look at the cause.
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
        return f"{repo} has no revision {model.revision or 'main'}: see {page}/commits/main"
    if isinstance(error, errors.RemoteEntryNotFoundError) and model.file:
        return f"{repo}: {_unknown_file(model)} See {page}/tree/{model.revision or 'main'}"
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
            f"({type(cause).__name__}: {first_line(cause)}): check the network, or name a local folder"
        )
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return f"no room for {repo} in {constants.HF_HUB_CACHE}: make room, or set HF_HOME to another disk"
    why = f"{type(error).__name__}: {first_line(error)}"
    return f"the download of {repo} broke off ({why}): start again, it resumes"


def _unknown_file(model: HubName) -> str:
    """The sentence that refuses a file that the repository does not have; asks the hub for those it has."""
    from huggingface_hub import errors, list_repo_files

    assert model.file is not None
    ending = model.file.rpartition(".")[2]
    try:
        names = [name for name in list_repo_files(model.repo, revision=model.revision) if name.endswith(f".{ending}")]
    except (errors.HfHubHTTPError, OSError):
        names = []
    if not names:
        return f"there is no file '{model.file}', nor any other .{ending} file."
    return did_you_mean("file", model.file, names)


def _no_library(name: str) -> StackError:
    return StackError(f"{name} is on the hub, which needs huggingface_hub: pip install 'parle-serve[hub]'")
