"""What the person at the terminal does and sees while a server runs: signals, and quiet."""

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
    """SIGINT or SIGTERM: the server shall end. Not an Exception, so that nothing on the way keeps it."""


class Signals:
    """The first signal interrupts whatever the main thread does; once that is a stop, the next one kills.

    `asked` tells other threads; `kill` ends what this process has started.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.kill: Callable[[], None] = lambda: None
        self._stopping = False

    def install(self) -> None:
        """Take the two signals, from whoever has them now."""
        for number in STOPPING:
            signal.signal(number, self._handle)

    def stopping(self) -> None:
        """The stop has begun: a signal that comes now finds nothing left to interrupt."""
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
    """Ours while the block runs, those of before afterwards."""
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
    """A descriptor of the terminal for our own lines; what anything else writes meanwhile is dropped.

    Ray writes from C++ and from threads of its own, whatever its log level says; its log
    files have it all. Tracebacks are printed after the block. `verbose` drops nothing.
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
