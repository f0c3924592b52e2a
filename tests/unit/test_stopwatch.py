"""The working time of an engine's threads for a call, without the time the call waited for them."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from serve_app import stopwatch
from serve_app.stopwatch import Stopwatch, timed

WORK_S = 0.2


def work() -> None:
    time.sleep(WORK_S)


async def call(pool: ThreadPoolExecutor, times: int = 1) -> tuple[float, Stopwatch]:
    """A call as a stage makes it: when it ended, and its stopwatch."""
    watch = stopwatch.start()
    for _ in range(times):
        await asyncio.get_running_loop().run_in_executor(pool, timed(work))
    return time.perf_counter(), watch


async def test_waiting_for_the_work_of_others_is_not_work() -> None:
    started = time.perf_counter()
    with ThreadPoolExecutor(1) as pool:
        calls = await asyncio.gather(*(asyncio.create_task(call(pool)) for _ in range(3)))
    for others, (ended, watch) in enumerate(sorted(calls, key=lambda call: call[0])):
        assert WORK_S <= watch.seconds <= ended - started - others * WORK_S


async def test_several_pieces_of_work_of_one_call_add_up() -> None:
    started = time.perf_counter()
    with ThreadPoolExecutor(1) as pool:
        ended, watch = await call(pool, times=3)
    assert 3 * WORK_S <= watch.seconds <= ended - started


async def test_it_can_be_read_while_the_work_goes_on() -> None:
    with ThreadPoolExecutor(1) as pool:
        watch = stopwatch.start()
        half_done, may_end = threading.Event(), threading.Event()

        def long_work() -> None:
            work()
            half_done.set()
            may_end.wait(30)
            work()

        job = asyncio.get_running_loop().run_in_executor(pool, timed(long_work))
        await asyncio.to_thread(half_done.wait, 30)
        half = watch.seconds
        may_end.set()
        await job
    assert WORK_S <= half < half + WORK_S <= watch.seconds


async def test_work_that_fails_is_measured_too_and_fails() -> None:
    def fail() -> None:
        work()
        raise ValueError("x")

    started, watch = time.perf_counter(), stopwatch.start()
    with pytest.raises(ValueError, match="x"):
        await asyncio.to_thread(timed(fail))
    measured = watch.seconds
    assert WORK_S <= measured <= time.perf_counter() - started
    await asyncio.sleep(0.05)
    assert watch.seconds == measured  # it has stopped


async def test_where_nobody_measures_the_work_is_left_alone() -> None:
    assert await asyncio.create_task(_timed_alone())


async def _timed_alone() -> bool:
    return timed(work) is work
