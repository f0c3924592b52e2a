"""The stages of a turn as remote calls through Ray Serve handles.

Only `cancel()` on the response stops the work behind a handle; breaking out of a stream or cancelling its consumer
does not, so every call here cancels explicitly. Ray's exceptions become our own errors here and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
)
from ray.serve.handle import DeploymentHandle, DeploymentResponse, DeploymentResponseGenerator

from serve_app.errors import Busy, ParleError, StageFailed
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.stage_limits import answer_within
from serve_app.lesson.stage_protocols import ChatRequest, HearingRequest
from serve_app.lesson.tutor_prompt import TutorRequest
from serve_app.protocols import Audio, LevelEstimate, Speech, TextDelta, Transcript, Usage, WordScore

RAY_ERRORS = (RayError, RayServeException)

WORK_S = 30.0
"""Longest wait for the work that a stage has done, which only tests and benchmarks ask for."""


async def call(method: DeploymentHandle, *args: Any, stage: str) -> Any:
    """Call a method of a stage; cancelling this call cancels it in the stage.

    Sets no time limit: the callers do.
    """
    response = method.remote(*args)
    with _own_errors(response, stage):
        return await response


async def stream(method: DeploymentHandle, *args: Any, stage: str) -> AsyncGenerator[Any, None]:
    """Call a generator method of a stage; closing this generator closes it in the stage."""
    response = method.options(stream=True).remote(*args)
    assert isinstance(response, DeploymentResponseGenerator)
    with _own_errors(response, stage):
        async for item in response:
            yield item


@contextmanager
def _own_errors(response: DeploymentResponse[Any] | DeploymentResponseGenerator[Any], stage: str) -> Iterator[None]:
    """Turns what the block raises for the response into our errors; cancels the response unless it was read to its end.

    Ray raises a CancelledError of its own when a replica is gone. It must not pass for the cancelling of our task: a
    TaskGroup, for example, takes a cancelled task for a finished one.
    """
    try:
        yield
    except asyncio.CancelledError:
        _cancel(response)
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            raise _stage_lost(stage) from None
        raise
    except RAY_ERRORS as error:
        _cancel(response)
        raise as_parle_error(error, stage) from None
    except BaseException:  # what ends the reading from outside, GeneratorExit above all; raised again
        _cancel(response)
        raise


def _cancel(response: DeploymentResponse[Any] | DeploymentResponseGenerator[Any]) -> None:
    """Stop the work behind a response. Of one that never reached a replica, Ray raises the reason here again."""
    with suppress(*RAY_ERRORS):
        response.cancel()


def as_parle_error(error: Exception, stage: str) -> ParleError:
    """The error that a client gets for an exception of Ray's."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    match cause:
        case ParleError():
            return cause
        case BackPressureError():
            return Busy(f"The {stage} stage is full; try again in a moment.", stage=stage, retry_after_s=2)
        case DeploymentUnavailableError():
            return StageFailed(
                f"The {stage} stage cannot serve at the moment; try again in a few seconds.",
                code="stage_unavailable",
                stage=stage,
                status=503,
                retry_after_s=5,
            )
    return _stage_lost(stage)


def _stage_lost(stage: str) -> StageFailed:
    return StageFailed(
        f"The {stage} stage was lost in the middle of the turn; it is being restarted, please say that again.",
        code="stage_lost",
        stage=stage,
        status=503,
        retry_after_s=5,
    )


async def is_ready(handle: DeploymentHandle, timeout_s: float) -> bool:
    """Whether a replica of the stage answers within the time."""
    try:
        async with asyncio.timeout(timeout_s):
            return await call(handle.ready, stage="")
    except (TimeoutError, ParleError):
        return False


def keeping_to(handle: DeploymentHandle, conversation_id: str) -> DeploymentHandle:
    """The handle, for the replica that this conversation was with before; see KEEPING_REPLICA.

    Where that one is full or gone it is another, the same one for the next calls too.
    """
    return handle.options(session_id=conversation_id)


@dataclass(frozen=True, slots=True)
class RemoteSpeechToText:
    handle: DeploymentHandle

    async def transcribe(self, audio: Audio, said_before: str) -> Transcript:
        return await call(self.handle.transcribe, audio, said_before, stage="stt")

    async def pronounced(self, audio: Audio, sentence: str) -> list[WordScore]:
        return await call(self.handle.pronounced, audio, sentence, stage="stt")


@dataclass(frozen=True, slots=True)
class RemoteCefrClassifier:
    handle: DeploymentHandle

    async def classify(self, text: str, earlier: Sequence[str]) -> LevelEstimate:
        return await call(self.handle.classify, text, tuple(earlier), stage="cefr")


@dataclass(frozen=True, slots=True)
class RemoteTutorLLM:
    handle: DeploymentHandle
    caller: str = ""
    """This process; see serve_app.replicas.orphans."""

    def reply(self, request: TutorRequest) -> AsyncGenerator[TextDelta | Usage, None]:
        return stream(keeping_to(self.handle, request.conversation_id).reply, request, self.caller, stage="llm")


@dataclass(frozen=True, slots=True)
class RemoteTextToSpeech:
    handle: DeploymentHandle

    def synthesize(
        self, text: str, voice: str | None, speed: float | None, level_speed: float = 1.0, slack_s: float = 0.0
    ) -> AsyncGenerator[Speech, None]:
        return stream(self.handle.synthesize, text, voice, speed, level_speed, slack_s, stage="tts")


@dataclass(frozen=True, slots=True)
class RemoteStageQueries:
    """What the routes and the ingress ask of the stages outside of turns."""

    handles: dict[str, DeploymentHandle]
    caller: str = ""
    """This process; see serve_app.replicas.orphans."""

    async def voices(self) -> list[str]:
        return await call(self.handles["tts"].voices, stage="tts")

    async def transcribe(self, audio: Audio, asked: HearingRequest) -> Transcript:
        return await call(self.handles["stt"].transcribe_as, audio, asked, stage="stt")

    def chat(self, request: ChatRequest) -> AsyncGenerator[TextDelta | Usage, None]:
        return stream(self.handles["llm"].chat, request, self.caller, stage="llm")

    async def warm(self, conversation_id: str, history: tuple[Exchange, ...]) -> None:
        await call(keeping_to(self.handles["llm"], conversation_id).warm, history, stage="llm")

    async def work(self) -> dict[str, int]:
        """Per model stage, the work of one replica since its start; see `work_done` of the engines."""
        counted = ("stt", "llm", "tts")
        asked = (answer_within(WORK_S, call(self.handles[name].work, stage=name), name) for name in counted)
        done = await asyncio.gather(*asked)
        return dict(zip(counted, done, strict=True))

    async def refused_settings(self) -> dict[str, str]:
        """Why the latest `user_config` of a stage's deployment is not in force; those that are down are left out."""

        async def of(handle: DeploymentHandle) -> str | None:
            try:
                async with asyncio.timeout(1.0):
                    return await call(handle.refused_settings, stage="")
            except (TimeoutError, ParleError):
                return None

        answers = await asyncio.gather(*map(of, self.handles.values()))
        named = zip(self.handles.values(), answers, strict=True)
        return {handle.deployment_name: why for handle, why in named if why is not None}

    async def ready(self) -> dict[str, bool]:
        """Per stage, whether a replica answers within a few seconds: one that is busy with a turn is ready."""
        answered = await asyncio.gather(*(is_ready(handle, 3.0) for handle in self.handles.values()))
        return dict(zip(self.handles, answered, strict=True))
