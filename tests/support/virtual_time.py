"""An event loop whose clock jumps to the next timer as soon as nothing else is left to do.

So a test of what happens after seconds takes none, and a busy machine cannot make it late. Work in threads is waited
for; other clocks than the loop's (`time.monotonic`) go on as ever.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self.now = 0.0
        self.in_threads = 0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        job = super().run_in_executor(executor, func, *args)
        self.in_threads += 1
        job.add_done_callback(self._back)
        return job

    def _back(self, _: asyncio.Future[Any]) -> None:
        self.in_threads -= 1


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0 or self._loop.in_threads:
            return super().select(timeout)
        if not (events := super().select(0)):
            self._loop.now += timeout
        return events


class VirtualTimePolicy(asyncio.DefaultEventLoopPolicy):
    """For all tests of a file: what its fixture `event_loop_policy` returns."""

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return VirtualTimeLoop()


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs an async test on such a loop."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
