"""What an engine's worker thread and the event loop owe each other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import ThreadPoolExecutor

import pytest

from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.thread_stream import Put, thread_stream


@pytest.fixture
def pool() -> Generator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


async def test_items_come_in_order_and_the_error_after_them(pool: ThreadPoolExecutor) -> None:
    def work(scope: CancelScope, put: Put[int]) -> None:
        for number in range(100):
            put(number)
        raise LookupError("the end")

    stream = thread_stream(pool, work)
    assert [await anext(stream) for _ in range(100)] == [*range(100)]
    with pytest.raises(LookupError, match="the end"):
        await anext(stream)


@pytest.mark.parametrize("kind", [KeyError, MemoryError, StopIteration, asyncio.CancelledError, FutureCancelled])
async def test_whatever_the_work_raises_ends_the_stream_as_a_failure(
    pool: ThreadPoolExecutor, kind: type[BaseException]
) -> None:
    finished = asyncio.Event()

    def work(scope: CancelScope, put: Put[str]) -> None:
        put("first")
        raise kind

    async with asyncio.timeout(30):
        stream = thread_stream(pool, work, finished=finished.set)
        assert await anext(stream) == "first"
        with pytest.raises((KeyError, MemoryError, RuntimeError)):
            await anext(stream)
        await finished.wait()


async def test_a_closed_stream_cancels_the_work_and_tells_when_it_has_ended(pool: ThreadPoolExecutor) -> None:
    seen_cancelled, may_end, finished = threading.Event(), threading.Event(), asyncio.Event()

    def work(scope: CancelScope, put: Put[str]) -> None:
        put("first")
        while not scope.cancelled:
            put("more")
        seen_cancelled.set()
        may_end.wait(30)
        raise LookupError("nobody is there to hear of this")

    stream = thread_stream(pool, work, finished=finished.set)
    assert await anext(stream) == "first"
    await stream.aclose()
    assert await asyncio.to_thread(seen_cancelled.wait, 10)
    assert not finished.is_set()
    may_end.set()
    await asyncio.wait_for(finished.wait(), 10)


async def test_work_that_waits_in_the_pool_finds_its_scope_cancelled(pool: ThreadPoolExecutor) -> None:
    busy, found = threading.Event(), []
    blocker = asyncio.get_running_loop().run_in_executor(pool, busy.wait, 10)
    finished = asyncio.Event()

    def work(scope: CancelScope, put: Put[str]) -> None:
        found.append(scope.cancelled)

    async def read() -> None:
        async for _ in thread_stream(pool, work, finished=finished.set):
            pass

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    busy.set()
    await blocker
    await asyncio.wait_for(finished.wait(), 10)
    assert found == [True]


def test_a_scope_ends_with_its_block_or_with_its_event() -> None:
    one, two = threading.Event(), threading.Event()
    with CancelScope() as batch:
        scopes = batch.children(2, (one, two))
        assert [scope.cancelled for scope in scopes] == [False, False]
        two.set()
        assert [scope.cancelled for scope in scopes] == [False, True]
        assert not batch.cancelled
        alone = batch.children(3, ())
        assert [scope.cancelled for scope in alone] == [False] * 3
    assert [scope.cancelled for scope in (*scopes, *alone)] == [True] * 5
