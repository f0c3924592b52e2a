"""How long an engine works for a call, apart from how long the call waits for its turn.

An engine hands its blocking work to threads of its own, where it may stand behind the work
of other calls. So what a call costs can only be measured in there: the stage starts a
stopwatch around the call, and the engine says `timed` of what it hands over. Engines that
queue in a process of their own (llama.cpp, vLLM) tell their times in `Usage` instead.
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
    """Runs while the call's work runs; one piece of work at a time. Read from any thread."""

    def __init__(self) -> None:
        self._state: tuple[float, float | None] = (0.0, None)
        """Seconds until the last stop, and when it was started since; one object, so that a reader sees both."""

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
    """A stopwatch for the call that the current task is in."""
    watch = Stopwatch()
    _current.set(watch)  # never reset: a stream may be closed from another task, and each call of Serve has its own
    return watch


def timed(work: Callable[P, R]) -> Callable[P, R]:
    """`work`, measured by the call's stopwatch; as it is where nobody started one."""
    watch = _current.get()
    return work if watch is None else watch.around(work)
