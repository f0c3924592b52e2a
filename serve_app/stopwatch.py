"""Measures how long an engine works on a call, without the time the call waits in the engine's queue.

An engine runs blocking work in its own threads, where it may queue behind other calls, so the work must be measured
there: the stage starts a stopwatch for the call, and the engine wraps the work it hands to a thread in `timed`.
Engines that queue in a process of their own (llama.cpp, vLLM) report their times in `Usage` instead.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Stopwatch:
    """Adds up the time of a call's work, one piece of work at a time. Can be read from any thread."""

    def __init__(self) -> None:
        self._state: tuple[float, float | None] = (0.0, None)
        """Seconds up to the last stop, and the start time if it runs; one tuple, so that a reader gets both at once."""

    @property
    def seconds(self) -> float:
        done, since = self._state
        return done if since is None else done + time.perf_counter() - since

    def around(self, work: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(work)
        def measured(*args: P.args, **kwargs: P.kwargs) -> R:
            self._state = (self._state[0], time.perf_counter())
            try:
                return work(*args, **kwargs)
            finally:
                self._state = (self.seconds, None)

        return measured


_current: ContextVar[Stopwatch | None] = ContextVar("stopwatch", default=None)


def start() -> Stopwatch:
    """A new stopwatch for the call that the current task handles."""
    watch = Stopwatch()
    _current.set(watch)  # never reset: a stream may be closed from another task, and each call of Serve has its own
    return watch


def timed(work: Callable[P, R]) -> Callable[P, R]:
    """`work`, measured by the call's stopwatch; unchanged if none was started."""
    watch = _current.get()
    return work if watch is None else watch.around(work)
