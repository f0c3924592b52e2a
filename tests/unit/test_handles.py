"""What becomes of Ray's exceptions: Ray's own responses, with no Ray behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from typing import Any, cast

import pytest
from ray.exceptions import ActorDiedError, TaskCancelledError
from ray.serve._private.common import DeploymentID, RequestMetadata
from ray.serve._private.replica_result import ActorReplicaResult, ReplicaResult
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError
from ray.serve.handle import DeploymentResponse, DeploymentResponseGenerator
from support.virtual_time import in_virtual_time

from serve_app.errors import ParleError, StageFailed
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.llm import KEEPING_REPLICA, TutorLLM
from serve_app.replicas.handles import RemoteStageQueries, RemoteTutorLLM, call, stream

REQUEST = RequestMetadata(request_id="r", internal_request_id="r")


class Replica(ReplicaResult):
    """What a replica yields, and how its stream ends; None where it hangs."""

    def __init__(self, *items: str, end: BaseException | None = None) -> None:
        self._items = iter(items)
        self._end = end
        self.cancelled = 0

    async def __anext__(self) -> str:
        for item in self._items:
            return item
        if self._end is None:
            await asyncio.Event().wait()
        assert self._end is not None
        raise self._end

    # Ray turns a task that was cancelled into asyncio's CancelledError; it does here as there.
    __anext__ = ActorReplicaResult._process_response(__anext__)  # pyright: ignore - Ray's decorator
    get_async = __anext__

    def cancel(self) -> None:
        self.cancelled += 1

    get = get_rejection_response = __next__ = add_done_callback = cast(Any, None)
    to_object_ref = to_object_ref_async = to_object_ref_gen = cast(Any, None)


class Method:
    """A method of a handle: its calls reach that replica, or the router refuses them."""

    def __init__(self, outcome: Replica | Exception) -> None:
        self._outcome = outcome
        self._streams = False
        self.session_id = ""

    def options(self, *, stream: bool = False, session_id: str = "") -> Method:
        self._streams = stream
        self.session_id = session_id or self.session_id
        return self

    @property
    def reply(self) -> Method:
        return self

    warm = reply

    def remote(self, *args: Any) -> Any:
        routed: Future[ReplicaResult] = Future()
        if isinstance(self._outcome, Exception):
            routed.set_exception(self._outcome)
        else:
            routed.set_result(self._outcome)
        return (DeploymentResponseGenerator if self._streams else DeploymentResponse)(routed, REQUEST)


async def read(items: AsyncGenerator[Any, None]) -> list[Any]:
    return [item async for item in items]


def streamed(outcome: Replica | Exception) -> AsyncGenerator[Any, None]:
    return stream(cast(Any, Method(outcome)), stage="tts")


FAILURES: list[tuple[Any, str]] = [
    (BackPressureError(64, 64), "busy"),
    (DeploymentUnavailableError(DeploymentID("TextToSpeech", "parle")), "stage_unavailable"),
    (ActorDiedError(), "stage_lost"),
    (RequestCancelledError("r"), "stage_lost"),
    (Replica("one", end=ActorDiedError()), "stage_lost"),
    (Replica("one", end=RequestCancelledError("r")), "stage_lost"),
    (Replica("one", end=TaskCancelledError()), "stage_lost"),
    (Replica(end=asyncio.CancelledError()), "stage_lost"),
    (Replica(end=StageFailed("x", code="context_full", stage="llm")), "context_full"),
]


async def test_a_conversation_is_sent_to_the_replica_that_has_read_it() -> None:
    """By the id with which Ray's ConsistentHashRouter chooses; a router of another kind would not look at it."""
    handle = Method(Replica("Oi.", end=StopAsyncIteration()))
    assert await read(RemoteTutorLLM(cast(Any, handle)).reply(TutorRequest("Oi.", conversation_id="ana"))) == ["Oi."]
    assert handle.session_id == "ana"
    handle = Method(Replica("read"))
    await RemoteStageQueries({"llm": cast(Any, handle)}).warm("bia", ())
    assert handle.session_id == "bia"
    assert KEEPING_REPLICA.get_request_router_class().__name__ == "ConsistentHashRouter"
    deployment: Any = TutorLLM
    assert deployment._deployment_config.request_router_config == KEEPING_REPLICA


@pytest.mark.parametrize(("outcome", "code"), FAILURES)
async def test_a_stream_fails_with_an_error_of_ours(outcome: Any, code: str) -> None:
    with pytest.raises(ParleError) as failed:
        await read(streamed(outcome))
    assert failed.value.code == code


@pytest.mark.parametrize(("outcome", "code"), [(one, code) for one, code in FAILURES if isinstance(one, Exception)])
async def test_a_call_fails_with_an_error_of_ours(outcome: Any, code: str) -> None:
    with pytest.raises(ParleError) as failed:
        await call(cast(Any, Method(outcome)), stage="stt")
    assert (failed.value.code, failed.value.stage) == (code, "stt")


async def test_a_lost_replica_ends_the_tasks_beside_it() -> None:
    """A TaskGroup takes a task that ends with a CancelledError for one that is done, and waits for the others."""

    async def together() -> None:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(read(streamed(Replica("one", end=TaskCancelledError()))))
            group.create_task(asyncio.Event().wait())

    with pytest.raises(ExceptionGroup) as failed:
        await together()
    assert [getattr(error, "code", None) for error in failed.value.exceptions] == ["stage_lost"]


@in_virtual_time
async def test_a_reader_that_is_cancelled_or_leaves_stops_the_replica() -> None:
    hanging = Replica("one")
    reader = asyncio.create_task(read(streamed(hanging)))
    await asyncio.sleep(0.01)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert hanging.cancelled == 1

    left = Replica("one", "two")
    items = streamed(left)
    assert await anext(items) == "one"
    await items.aclose()
    assert left.cancelled == 1


async def test_a_fault_of_another_kind_stops_the_replica_and_stays_what_it_is() -> None:
    replica = Replica("one", end=ValueError("a reply that cannot be unpickled"))
    with pytest.raises(ValueError, match="cannot be unpickled"):
        await read(streamed(replica))
    assert replica.cancelled == 1


async def test_a_stream_that_was_read_to_its_end_is_not_cancelled() -> None:
    replica = Replica("one", "two", end=StopAsyncIteration())
    assert await read(streamed(replica)) == ["one", "two"]
    assert replica.cancelled == 0
