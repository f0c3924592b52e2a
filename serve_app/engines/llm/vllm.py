"""Chat through vLLM's async engine: continuous batching, a prefix cache that all conversations share.

The model runs in a process that vLLM starts; this module sends requests and receives tokens.
vLLM's exceptions are replaced by our own, since to unpickle them other processes would need vLLM.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from serve_app.engines.llm import reply_form
from serve_app.engines.llm.context_full import context_full
from serve_app.errors import StackError, StageFailed, first_line
from serve_app.protocols import Message, Sampling, TextDelta, Usage

# vLLM reads these when it is imported, and its processes inherit them.
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
# A fork of a process with threads (a Ray replica has many) may hang.
os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")

from vllm import AsyncEngineArgs, SamplingParams
from vllm.exceptions import VLLMError
from vllm.inputs.engine import tokens_input
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.stats import RequestStateStats, SchedulerStats

from serve_app.engines.llm.vllm_prompts import Prompts

logger = logging.getLogger(__name__)

CPU_BLOCK_TOKENS = 32
"""Tokens in a block of the prefix cache, which reuses only whole blocks: the smallest size for a CPU."""

CPU_BATCH_TOKENS = 128
"""Tokens read at once on a CPU, about a second of work; a generation can be stopped only between two batches."""

CPU_KV_CACHE_BYTES = 1 << 30

WARM_TOKENS = 4
"""Of each of the replies that warm the engine up: a few, so that all of them are written side by side."""

CACHED_PROMPT_TOKENS = 256
"""Up to so many tokens in one step, CUDA graphs are used. vLLM's default is twice `max_replies`: less than what is left
to read of a cached conversation, an utterance and the rest of a block, which then costs as much as the whole prompt."""

Format = Literal["auto", "mistral"]


class Vllm:
    """One chat model behind vLLM, text only: the vision and audio parts of a multimodal model are not loaded.

    `model` is a folder in Hugging Face's layout or, with `format` "mistral", in Mistral's own
    (tekken.json, params.json, consolidated*.safetensors). `share` of a card limits weights, cache
    and working memory together; two or more whole cards split the model between them.
    `kv_cache_bytes` is the cache alone; None takes what the share leaves. `chat_template` (Jinja)
    is for base models that have none.

    Can be created in any thread; belongs to the event loop that uses it first.

    Raises:
        StackError: vLLM cannot run the model here, or there is not enough memory.
    """

    def __init__(
        self,
        model: Path,
        *,
        device: str = "cuda",
        share: float | None = None,
        dtype: str = "auto",
        context_tokens: int = 4096,
        max_replies: int = 16,
        kv_cache_bytes: int | None = None,
        format: Format = "auto",
        chat_template: str | None = None,
        cuda_graphs: bool = True,
    ) -> None:
        config = model / ("params.json" if format == "mistral" else "config.json")
        if not config.is_file():
            raise StackError(f"{config} is missing; the vllm engine needs a model's folder.")
        if format == "mistral" and chat_template is not None:
            raise StackError("llm: Mistral's format has a chat template of its own; leave chat_template at 'model'.")
        args: dict[str, Any] = {
            "model": str(model),
            "dtype": dtype,
            "max_model_len": context_tokens,
            "max_num_seqs": max_replies,
            "enable_prefix_caching": True,
            "language_model_only": True,
            "enforce_eager": not cuda_graphs,
            "kv_cache_memory_bytes": kv_cache_bytes,
            # Where any white space is allowed, a small model may write it until its tokens are used up.
            "structured_outputs_config": {"backend": "guidance", "disable_any_whitespace": True},
            "disable_log_stats": True,
            "enable_logging_iteration_details": True,
            "use_tqdm_on_load": False,
        }
        if format == "mistral":
            args |= {"tokenizer_mode": "mistral", "config_format": "mistral", "load_format": "mistral"}
        if device == "cpu":
            # By default vLLM would pin its threads to cores and take most of the machine's memory.
            os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
            args |= {
                "kv_cache_memory_bytes": kv_cache_bytes or CPU_KV_CACHE_BYTES,
                "block_size": CPU_BLOCK_TOKENS,
                "max_num_batched_tokens": max(CPU_BATCH_TOKENS, max_replies),
            }
        else:
            args |= _on_card(share, cuda_graphs, max_replies)
        self._counts = _Counts()
        # With a seed, vLLM 0.32 on a CPU fails on a prompt read in parts ("CPU Generator does not use offset").
        self._seeds = device != "cpu"
        try:
            self._engine = AsyncLLM.from_engine_args(
                AsyncEngineArgs(**args), stat_loggers=[lambda _config, _index: self._counts]
            )
        except (ValueError, RuntimeError, OSError, VLLMError) as error:
            raise StackError(f"vLLM cannot load {model}: {_reason(error)}") from error
        self._context_tokens = context_tokens
        self._max_replies = max_replies
        self._prompts = Prompts(self._engine, chat_template)
        # Cannot be guessed, and does not occur again in the log of a later process.
        self._request_ids = (f"{secrets.token_hex(4)}-{number}" for number in itertools.count())

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[TextDelta | Usage, None]:
        async with self._failing():
            prompt = await self._prompts.tokens(messages)
            async with aclosing(self._generate(prompt, sampling)) as items:
                async for item in items:
                    yield item

    async def _generate(self, prompt: list[int], sampling: Sampling) -> AsyncGenerator[TextDelta | Usage, None]:
        if len(prompt) >= self._context_tokens:
            raise context_full()
        request_id = next(self._request_ids)
        cached = written = 0
        outputs = self._engine.generate(tokens_input(prompt), _params(sampling, self._seeds), request_id)
        try:
            async with aclosing(outputs):
                async for output in outputs:
                    part = output.outputs[0]
                    cached = output.num_cached_tokens or cached
                    written += len(part.token_ids)
                    if part.text:
                        yield TextDelta(part.text)
                    if part.finish_reason is not None:
                        yield Usage(len(prompt), cached, written, _finish_reason(output), *_times(output))
        finally:
            # A reader that is cancelled while vLLM accepts the request would leave it running.
            await self._engine.abort(request_id)

    async def warm(self, messages: Sequence[Message], *, everywhere: bool = False) -> None:
        """Read the prefix and write one token, which is dropped; all streams share the cache.

        `everywhere` also writes as many replies at once as the engine may have to: vLLM compiles some kernels, those
        of sampling among them, when a batch of that size first needs them, which takes seconds.
        """
        async with self._failing():
            prompt = await self._prompts.prefix(messages)
            if not prompt:
                return
            await self._drop(prompt, Sampling(temperature=0, max_tokens=1, stop=()))
            if everywhere and len(prompt) + WARM_TOKENS <= self._context_tokens:
                some = Sampling(max_tokens=WARM_TOKENS, stop=())
                await asyncio.gather(*(self._drop(prompt, some) for _ in range(self._max_replies)))

    async def _drop(self, prompt: list[int], sampling: Sampling) -> None:
        """Write a reply for nobody."""
        async with aclosing(self._generate(prompt, sampling)) as items:
            async for _ in items:
                pass

    async def work_done(self) -> int:
        """Prompt batches and reply tokens, as vLLM's scheduler counts them, also those of closed streams."""
        return self._counts.steps

    async def running(self) -> int:
        """Replies that vLLM is writing or has queued, as its scheduler last reported."""
        return self._counts.requests

    async def check(self) -> None:
        if self._engine.errored:
            raise RuntimeError("vLLM's process is gone.")

    def close(self) -> None:
        """Stop vLLM's process; the engine cannot be used afterwards."""
        self._engine.shutdown()

    @asynccontextmanager
    async def _failing(self) -> AsyncIterator[None]:
        """Turns vLLM's exceptions into a StageFailed, which every process can unpickle."""
        try:
            yield
        except EngineDeadError:
            message = "The tutor's model was lost; it is being restarted."
            raise StageFailed(message, code="stage_lost", stage="llm") from None
        except (VLLMError, ValueError, RuntimeError, TimeoutError) as error:
            logger.exception("vLLM refused a request or failed")
            raise StageFailed(f"The tutor's model failed: {_reason(error)}", stage="llm") from None


def _on_card(share: float | None, cuda_graphs: bool, max_replies: int) -> dict[str, Any]:
    args: dict[str, Any] = {}
    if cuda_graphs:
        args["max_cudagraph_capture_size"] = max(CACHED_PROMPT_TOKENS, 2 * max_replies)
    if share is not None and share < 1:
        args["gpu_memory_utilization"] = share
    elif share is not None:
        args["tensor_parallel_size"] = int(share)
    return args


class _Counts(StatLoggerBase):
    """Counts what vLLM's scheduler reports after each step of the model."""

    def __init__(self) -> None:
        self.steps = 0
        self.requests = 0

    def record(
        self,
        scheduler_stats: SchedulerStats | None,
        iteration_stats: object = None,
        mm_cache_stats: object = None,
        engine_idx: int = 0,
    ) -> None:
        if scheduler_stats is None:
            return
        self.requests = scheduler_stats.num_running_reqs + scheduler_stats.num_waiting_reqs
        if (step := scheduler_stats.iteration_details) is not None:
            self.steps += step.num_ctx_requests + step.num_generation_tokens

    def log_engine_initialized(self) -> None:
        pass


def _params(sampling: Sampling, seeds: bool) -> SamplingParams:
    schema = sampling.json_schema
    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_tokens,
        repetition_penalty=sampling.repeat_penalty,
        seed=sampling.seed if seeds else None,
        # The texts that end a spoken reply may occur inside JSON; the schema ends it.
        stop=list(sampling.stop) if schema is None else [],
        structured_outputs=_structure(sampling),
        output_kind=RequestOutputKind.DELTA,
    )


def _structure(sampling: Sampling) -> StructuredOutputsParams | None:
    if sampling.json_schema is not None:
        return StructuredOutputsParams(json=dict(sampling.json_schema))
    return StructuredOutputsParams(regex=reply_form.regex(sampling.form)) if sampling.form is not None else None


def _times(output: RequestOutput) -> tuple[float, float]:
    """Seconds from the scheduler's start of the request to its first token, and from there to the last one."""
    times = output.metrics
    if not isinstance(times, RequestStateStats):
        return 0.0, 0.0
    return times.first_token_ts - times.scheduled_ts, times.last_token_ts - times.first_token_ts


def _finish_reason(output: RequestOutput) -> str:
    reason = output.outputs[0].finish_reason
    if reason in ("stop", "length"):
        return reason
    raise StageFailed(f"The tutor's model failed: a reply ended with '{reason}'.", stage="llm")


def _reason(error: BaseException) -> str:
    if isinstance(error, ValidationError):  # its first line only says how many errors there are
        return error.errors()[0]["msg"]
    return first_line(error)
