"""Signals and terminal output while a server runs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """SIGINT or SIGTERM: stop the server. Not an Exception, so that no `except Exception` on the way swallows it."""


class Signals:
    """The first signal interrupts the main thread; a second one, while the server stops, kills everything.

    `asked` tells other threads; `kill` ends the processes that this one has started.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.kill: Callable[[], None] = lambda: None
        self._stopping = False

    def install(self) -> None:
        """Handle both signals from now on, whoever handled them before."""
        for number in STOPPING:
            signal.signal(number, self._handle)

    def stopping(self) -> None:
        """The stop has begun: the next signal kills."""
        self._stopping = True
        self.asked.set()

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self._stopping:
            self.kill()
            os._exit(128 + number)
        self.stopping()
        raise Stopped


@contextmanager
def signals() -> Iterator[Signals]:
    """Our signal handlers while the block runs, the previous ones afterwards."""
    before = {number: signal.getsignal(number) for number in STOPPING}
    ours = Signals()
    ours.install()
    try:
        yield ours
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def diverted(verbose: bool) -> Iterator[int]:
    """Yield a file descriptor of the terminal for our own lines; drop all else written to stdout and stderr.

    Ray writes from C++ and from its own threads whatever its log level; its log files have it all. Tracebacks are
    printed after the block. `verbose` drops nothing.
    """
    if verbose:
        yield 1
        return
    _flush()
    terminal = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield terminal[0]
    finally:
        _flush()
        for number, kept in enumerate(terminal, start=1):
            os.dup2(kept, number)
            os.close(kept)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
