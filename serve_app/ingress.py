"""The graph builder, and the ingress: HTTP and WebSocket in, the stages behind it.

`build` must see its parameter's class, not a string: so this module has no
`from __future__ import annotations`, which silently turns Ray's conversion off.
"""

import asyncio
import logging
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from serve_app import process_names
from serve_app.cefr import CefrClassifier
from serve_app.config.stack import HEAD_NODE, StackArgs, StageConfig
from serve_app.config.user_config import IngressSettings
from serve_app.errors import StackError
from serve_app.launch import preflight, ray_private
from serve_app.launch.bare_serve_run import end_bare_serve_run
from serve_app.launch.graceful_stop import Stopping
from serve_app.launch.last_settings import LastSettings
from serve_app.lesson.stage_protocols import Stages
from serve_app.llm import TutorLLM
from serve_app.observe.observer import Observer, stack_name
from serve_app.replicas.handles import (
    RemoteCefrClassifier,
    RemoteSpeechToText,
    RemoteStageQueries,
    RemoteTextToSpeech,
    RemoteTutorLLM,
)
from serve_app.replicas.live_settings import LiveSettings, SettingsMemory
from serve_app.routes import app_for
from serve_app.routes.lessons import Lessons
from serve_app.store.opening import open_store
from serve_app.stt import SpeechToText
from serve_app.tts import TextToSpeech

logger = logging.getLogger("ray.serve")

REPLACED_POLL_S = 0.3
STOP_MARGIN_S = 8.0
"""For what comes after the last turn: clients are told, connections are closed."""


@serve.deployment(
    name="Ingress",
    ray_actor_options={"num_cpus": 0, "resources": {HEAD_NODE: 0.001}},
    # The handlers decide on admission, as they can send a reason, and none waits for a client before it has decided. An
    # open WebSocket counts as one request; the rest is for probes and refusals, which must never wait behind others.
    max_ongoing_requests=5000,
    user_config={},  # makes Ray call `reconfigure` at the start
    health_check_period_s=2,
    health_check_timeout_s=10,  # of its one event loop, which also decodes and plans
    graceful_shutdown_wait_loop_s=0.5,
)
@serve.ingress()
class Ingress:
    """Serves the routes and runs the turns; reaches the stages only through their handles."""

    async def __init__(
        self,
        args: StackArgs,
        stt: DeploymentHandle,
        cefr: DeploymentHandle | None,
        llm: DeploymentHandle,
        tts: DeploymentHandle,
        memory: SettingsMemory | None = None,
    ) -> None:
        self._args = args
        caller = process_names.new_name()
        stages = Stages(
            RemoteSpeechToText(stt),
            RemoteCefrClassifier(cefr) if cefr is not None else None,
            RemoteTutorLLM(llm, caller),
            RemoteTextToSpeech(tts),
        )
        handles = {"stt": stt, "cefr": cefr, "llm": llm, "tts": tts}
        self._queries = RemoteStageQueries(
            {name: handle for name, handle in handles.items() if handle is not None}, caller
        )
        self._observer = Observer(args)
        store = await open_store(args.store, stack_name(args))
        self._lessons = Lessons(stages, self._queries, store, args, self._observer)
        self._settings = LiveSettings("Ingress", IngressSettings, self._apply, memory=memory)
        self._replaced = asyncio.create_task(self._stop_when_replaced(), name="stop when replaced")

    def __del__(self) -> None:
        """Serve calls this when it stops the replica."""
        if observer := getattr(self, "_observer", None):
            observer.close()

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        await self._settings.change(user_config)

    async def _apply(self, wanted: IngressSettings) -> None:
        self._lessons.configure(wanted)

    async def refused_settings(self) -> dict[str, str]:
        """Not a route: why the latest `user_config` of a deployment is not in force, for each of which that is so."""
        refused = await self._queries.refused_settings()
        return refused if self._settings.refused is None else {**refused, "Ingress": self._settings.refused}

    async def warn_of_stop(self, in_s: float) -> None:
        """Not a route: only a process in the cluster may stop the server; see serve_app.routes.presence."""
        await self._lessons.presence.warn(in_s)

    async def close_for_stop(self) -> bool:
        """Refuse everything from here on, unless a client was active; returns whether it is closed."""
        return await self._lessons.presence.close()

    async def reopen(self) -> None:
        """Serve again after a stop that did not happen."""
        await self._lessons.presence.reopen()

    async def stop(self) -> Stopping:
        """Not a route: begin to stop, if it has not begun; how far this replica is."""
        stop = self._lessons.stop()
        turns = self._lessons.turns
        return Stopping(serve.get_replica_context().replica_id.unique_id, turns, stop.left_s, done=stop.done)

    async def _stop_when_replaced(self) -> None:
        """Serve waits until a replica's requests have ended, but an open WebSocket does not end by itself."""
        while not ray_private.shutting_down():  # noqa: ASYNC110 - Serve tells nobody
            await asyncio.sleep(REPLACED_POLL_S)
        self._lessons.stop()

    async def work(self) -> dict[str, int]:
        """Not a route: the work of each model stage since its start, for tests and benchmarks."""
        return await self._queries.work()

    def __serve_build_asgi_app__(self) -> FastAPI:
        return app_for(self._args, self._lessons, self.refused_settings)


def build(args: StackArgs) -> serve.Application:
    """The graph of one stack: five deployments, or four without `cefr`.

    Raises:
        RayServeException: the stack cannot run here; one readable line, which Ray reports without a retry.
    """
    try:
        preflight.check(args)
    except StackError as error:
        end_bare_serve_run(error.message)
        raise RayServeException(error.message) from None
    llm = _bind(TutorLLM, args.llm)
    # vLLM checks the free memory of the whole card when it starts, so on a shared card it starts first.
    first = llm if args.llm.engine == "vllm" and args.llm.num_gpus < 1 else None
    return Ingress.options(graceful_shutdown_timeout_s=args.limits.stop_s + STOP_MARGIN_S).bind(
        args,
        _bind(SpeechToText, args.stt, first),
        _bind(CefrClassifier, args.cefr, first) if args.cefr else None,
        llm,
        _bind(TextToSpeech, args.tts, first),
        memory=LastSettings(),
    )


def _bind(deployment: Any, config: StageConfig, after: serve.Application | None = None) -> serve.Application:
    """One stage with its share of the card. The empty user_config makes Ray call `reconfigure` at the start."""
    options: dict[str, Any] = {"num_cpus": 0}
    if config.num_gpus:
        options["num_gpus"] = config.num_gpus
    others = (after,) if after is not None and config.num_gpus else ()
    return deployment.options(ray_actor_options=options, user_config={}).bind(config, *others, memory=LastSettings())
