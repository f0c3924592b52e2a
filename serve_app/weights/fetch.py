"""Fetches a stack's weights to this machine: in `parle serve` while Ray starts, in `parle pull` by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from serve_app.config.stack import StackArgs
from serve_app.errors import StackError, StackErrors
from serve_app.weights.progress import BytesProgress, ModelProgress
from serve_app.weights.sources import Source, check_weights, sources


@dataclass(frozen=True, slots=True)
class Fetched:
    """A model on this machine, and the size of its files in bytes: all, and those that were fetched now."""

    model: str
    path: Path
    size: int
    new: int


def fetch(source: Source, progress: BytesProgress | None = None) -> Fetched:
    """Join or download what is missing of one model; blocks meanwhile.

    Raises:
        StackError: it cannot be fetched; one line that says what to do.
    """
    before = _files(source.present())
    path = source.resolve(progress)
    now = _files(path)
    new = sum(size for file, size in now.items() if file not in before)
    return Fetched(source.model, path, sum(now.values()), new)


@contextmanager
def fetching(wanted: Sequence[Source], told: ModelProgress, stop: threading.Event) -> Iterator[list[Future[Fetched]]]:
    """Fetch all of `wanted` at the same time while the block runs; stops when `stop` is set or the block fails."""
    gave_up = threading.Event()

    def one(source: Source) -> Fetched:
        def progress(done: int, total: int) -> None:
            if stop.is_set() or gave_up.is_set():
                raise StackError(f"the fetching of {source.model} was interrupted")
            told(source.model, done, total)

        return fetch(source, progress)

    with ThreadPoolExecutor(max_workers=max(len(wanted), 1), thread_name_prefix="weights") as pool:
        try:
            yield [pool.submit(one, source) for source in wanted]
        except BaseException:
            gave_up.set()
            raise


def pull(args: StackArgs, told: ModelProgress) -> list[Fetched]:
    """Fetch all the weights of a stack; if one cannot be fetched, the others still are.

    Raises:
        StackErrors: one line for each that is still missing.
    """
    if faults := _faults(args):
        raise StackErrors(faults)
    here: list[Fetched] = []
    with fetching(sources(args), told, threading.Event()) as fetches:
        for future in fetches:
            try:
                here.append(future.result())
            except StackError as error:
                faults.append(error.message)
    if faults:
        raise StackErrors(faults)
    return here


def _faults(args: StackArgs) -> list[str]:
    """The errors that can be found before anything is fetched."""
    faults: list[str] = []
    for stage, config in args.stages().items():
        try:
            check_weights(stage, config)
        except StackError as error:
            faults.append(error.message)
    return faults


def _files(path: Path | None) -> dict[Path, int]:
    """The files of a model and their sizes, symbolic links (as in the hub's cache) resolved."""
    if path is None:
        return {}
    found = [path] if path.is_file() else path.rglob("*")
    sizes: dict[Path, int] = {}
    with suppress(OSError):  # only sizes are needed here: the engine reports files that cannot be read
        for file in found:
            if file.is_file():
                sizes[file.resolve()] = file.stat().st_size
    return sizes
