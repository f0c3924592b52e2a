"""The TutorLLM deployment: an utterance and its history in, the tutor's reply out as a stream."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve.config import RequestRouterConfig

from serve_app.config.stack import LlamaCppConfig, LlmConfig
from serve_app.config.user_config import LlmSettings, TutorPrompt
from serve_app.errors import StackError, StageFailed
from serve_app.gpu import budget
from serve_app.gpu.mps import hold_to_share
from serve_app.lesson import tutor_prompt
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.stage_protocols import ChatRequest
from serve_app.protocols import ChatEngine, Sampling, TextDelta, Usage
from serve_app.replicas.live_settings import LiveSettings, SettingsMemory
from serve_app.replicas.orphans import ended_with
from serve_app.replicas.replica import DEPLOYMENT_OPTIONS, WARM_S, in_time, load_engine, stage_errors
from serve_app.weights.model_names import cache_folder
from serve_app.weights.sources import fetched


def build_engine(config: LlmConfig, model: Path) -> ChatEngine:
    """Load the engine that the YAML names; blocks for seconds to minutes."""
    hold_to_share(config.num_gpus)
    template = tutor_prompt.transcript_template() if config.chat_template == "transcript" else None
    if isinstance(config, LlamaCppConfig):
        from serve_app.engines.llm.llama_cpp import LlamaCpp

        return LlamaCpp(
            model,
            context_tokens=config.context_tokens,
            slots=config.slots,
            threads=config.threads,
            prompt_cache_mib=config.prompt_cache_mib,
            chat_template=template,
            decode_threads=config.decode_threads,
            state_folder=cache_folder() / "prompts",
        )
    # What vLLM compiles, 20 to 30 s of its start, is kept beside the weights, where a container's volume is.
    os.environ.setdefault("VLLM_CACHE_ROOT", str(cache_folder() / "vllm"))
    from serve_app.engines.llm.vllm import Vllm

    return Vllm(
        model,
        device=config.device,
        share=config.num_gpus,
        dtype=config.dtype,
        context_tokens=config.context_tokens,
        max_replies=config.max_replies,
        kv_cache_bytes=budget.kv_cache(config, model),
        format=config.format,
        chat_template=template,
        cuda_graphs=config.cuda_graphs,
    )


KEEPING_REPLICA = RequestRouterConfig(
    request_router_class="ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"  # pyright: ignore - Ray takes any
)
"""With several replicas, a conversation stays with the one that has read it: each has a prompt cache of its own."""


@serve.deployment(name="TutorLLM", **DEPLOYMENT_OPTIONS, request_router_config=KEEPING_REPLICA)
class TutorLLM:
    """Holds the tutor's prompt, so that each replica can warm its own prompt cache with it."""

    async def __init__(self, config: LlmConfig, *, memory: SettingsMemory | None = None) -> None:
        self._settings = LiveSettings("TutorLLM", LlmSettings, self._apply, memory=memory)
        self._prompt = tutor_prompt.default_prompt()
        self._warmed: TutorPrompt | None = None
        self._engine = await load_engine(lambda: fetched(config), lambda model: build_engine(config, model))

    def __del__(self) -> None:
        """Serve calls this when it stops the replica."""
        if engine := getattr(self, "_engine", None):
            engine.close()

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply a new prompt or sampling; replies being written keep the old ones."""
        await self._settings.change(user_config)

    async def _apply(self, wanted: LlmSettings) -> None:
        prompt = wanted.prompt or tutor_prompt.default_prompt()
        if self._warmed != prompt:
            try:
                await self._read(prompt)
            except StageFailed as error:
                if self._warmed is not None:
                    await self._read(self._warmed)
                if error.code == "context_full":
                    raise StackError("user_config: prompt: it is longer than llm.context_tokens allows") from None
                raise
            self._warmed = prompt
        self._prompt = prompt

    async def _read(self, prompt: TutorPrompt) -> None:
        with stage_errors("llm"):
            async with in_time(WARM_S, "The tutor's prompt was not read"):
                await self._engine.warm(tutor_prompt.prefix(prompt), everywhere=True)

    def refused_settings(self) -> str | None:
        """Why the latest user_config is not in force; None where it is."""
        return self._settings.refused

    async def reply(
        self, request: tutor_prompt.TutorRequest, caller: str = ""
    ) -> AsyncGenerator[TextDelta | Usage, None]:
        """Write the tutor's reply: deltas, then one Usage.

        Closing the stream aborts the generation, and so does the death of the process `caller`.
        """
        chosen = Sampling(**self._settings.now.sampling.model_dump())
        sampling = replace(chosen, max_tokens=request.max_tokens, form=request.form)
        messages = tutor_prompt.messages(self._prompt, request)
        with stage_errors("llm"):
            async with ended_with(caller), aclosing(self._engine.stream(messages, sampling)) as stream:
                async for item in stream:
                    yield item

    async def chat(self, request: ChatRequest, caller: str = "") -> AsyncGenerator[TextDelta | Usage, None]:
        """Answer a client's own messages: deltas, then one Usage; see `reply`."""
        settings = self._settings.now.sampling.model_dump()
        asked = {"temperature": request.temperature, "top_p": request.top_p, "seed": request.seed}
        chosen = settings | {name: value for name, value in asked.items() if value is not None}
        tutor = request.messages[0]["role"] != "system"
        stop = (*(Sampling().stop if tutor else ()), *request.stop)
        sampling = Sampling(**chosen, max_tokens=request.max_tokens, stop=stop)
        messages = tutor_prompt.chat_messages(self._prompt, request.messages)
        with stage_errors("llm"):
            async with ended_with(caller), aclosing(self._engine.stream(messages, sampling)) as stream:
                async for item in stream:
                    yield item

    async def warm(self, history: tuple[Exchange, ...]) -> None:
        """Read a shortened conversation into the prompt cache before the learner's next turn needs it."""
        with stage_errors("llm"):
            await self._engine.warm(tutor_prompt.history_messages(self._prompt, history))

    async def check_health(self) -> None:
        """Serve calls this; a replica whose engine is lost is replaced."""
        await self._engine.check()

    async def work(self) -> int:
        """The engine's work since its start; see `work_done` of the engine."""
        return await self._engine.work_done()

    async def ready(self) -> bool:
        """Always True: a replica answers only once its weights are loaded."""
        return True
