"""An async stream of what a worker thread produces."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from typing import TypeVar

from serve_app.engines.cancel_scope import CancelScope
from serve_app.stopwatch import timed

T = TypeVar("T")

Put = Callable[[T], None]
"""Called in the worker thread with the next item of the stream; drops it once the stream is closed."""


async def thread_stream(
    pool: Executor,
    work: Callable[[CancelScope, Put[T]], None],
    *,
    finished: Callable[[], None] = lambda: None,
) -> AsyncGenerator[T, None]:
    """Run `work` in a thread of `pool` and yield what it puts, in order.

    The stream ends when `work` has returned; what `work` raises is raised here, after the items before
    it. Closing the stream cancels the scope. `finished` is called in the event loop once `work` has
    returned, also when the stream was closed before. The queue between the two has no limit, since a
    library's callback cannot wait for the reader: `work` must bound how much it puts.
    """
    loop = asyncio.get_running_loop()
    items: asyncio.Queue[tuple[T] | None] = asyncio.Queue()

    def ended(job: asyncio.Future[None]) -> None:
        items.put_nowait(None)
        if not job.cancelled():
            job.exception()  # otherwise asyncio logs it as never retrieved when the stream was closed
        finished()

    with CancelScope() as scope:

        def put(item: T) -> None:
            if not scope.cancelled:
                loop.call_soon_threadsafe(items.put_nowait, (item,))

        job = loop.run_in_executor(pool, timed(_raising_what_a_future_takes(work)), scope, put)
        job.add_done_callback(ended)
        while (item := await items.get()) is not None:
            yield item[0]
        await job


def _raising_what_a_future_takes(work: Callable[[CancelScope, Put[T]], None]) -> Callable[[CancelScope, Put[T]], None]:
    """`work`, whose exception always ends the stream as a failure.

    A future refuses a StopIteration and would never be done; a CancelledError would look like a reader who left.
    """

    def run(scope: CancelScope, put: Put[T]) -> None:
        try:
            work(scope, put)
        except (StopIteration, asyncio.CancelledError, concurrent.futures.CancelledError) as error:
            raise RuntimeError(f"the worker ended with {type(error).__name__}") from error

    return run
