"""Chat through llama.cpp's own server (xllamacpp), in process: continuous batching, prompt cache.

Each of the server's slots keeps the keys and values of the last conversation it served;
a conversation that finds its slot taken gets its state back from host memory
(`prompt_cache_mib`). So a turn's first token costs only the new words of that turn.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any

import xllamacpp

from serve_app.errors import StackError, StageFailed
from serve_app.protocols import Message, Sampling, TextDelta, Usage

BATCH_TOKENS = 32
"""Prompt tokens evaluated at once. A generation can be stopped between two batches, so
this bounds how long a prompt that nobody waits for goes on: about half a second at the
60 tokens/s of two cores. Larger batches gained nothing there."""

QUIET = -1
"""llama.cpp's verbosity that logs errors only."""

Deliver = Callable[[dict[str, Any] | Exception | None], None]


class LlamaCpp:
    """One GGUF model behind llama.cpp's server.

    `context_tokens` is per slot; `slots` is how many replies are written at once. The prompt
    is read with `threads`, the reply written with `decode_threads`: llama.cpp's threads wait
    for each other by spinning, so where speech is made on the same two cores, a reply
    written with two threads comes three times slower than with one. With `chat_template`
    (Jinja) a base model that has none can be used.
    """

    def __init__(
        self,
        model: Path,
        *,
        context_tokens: int = 4096,
        slots: int = 2,
        threads: int = 2,
        prompt_cache_mib: int = 512,
        decode_threads: int = 1,
        chat_template: str | None = None,
    ) -> None:
        if not model.is_file():
            raise StackError(f"{model} is not a file; the llama-cpp engine needs a .gguf file.")
        params = xllamacpp.CommonParams()  # pyright: ignore[reportAttributeAccessIssue] - a binary module without stubs
        params.model.path = str(model)
        params.n_ctx = context_tokens * slots
        params.n_parallel = slots
        params.n_batch = params.n_ubatch = BATCH_TOKENS
        params.cpuparams.n_threads = decode_threads
        params.cpuparams_batch.n_threads = threads
        params.cache_ram_mib = prompt_cache_mib
        params.verbosity = QUIET
        params.ui = False
        params.endpoint_metrics = True
        # The library opens a port on the loopback address that we do not use; nobody else shall.
        params.api_keys = [secrets.token_hex(32)]
        if chat_template is not None:
            params.chat_template = chat_template
        try:
            self._server = xllamacpp.Server(params)  # pyright: ignore[reportAttributeAccessIssue]
        except RuntimeError as error:
            raise StackError(f"llama.cpp cannot load {model}: {error}") from error
        self._slots = slots
        self._pool = ThreadPoolExecutor(4 * slots, thread_name_prefix="llama")

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[TextDelta | Usage, None]:
        async with aclosing(self._stream(_request(messages, sampling))) as items:
            async for item in items:
                yield item

    async def _stream(self, request: dict[str, Any]) -> AsyncGenerator[TextDelta | Usage, None]:
        loop = asyncio.get_running_loop()
        # Bounded by sampling.max_tokens: a callback cannot wait for its reader.
        items: asyncio.Queue[dict[str, Any] | Exception | None] = asyncio.Queue()
        closed = threading.Event()

        def deliver(item: dict[str, Any] | Exception | None) -> None:
            if not closed.is_set():
                loop.call_soon_threadsafe(items.put_nowait, item)

        loop.run_in_executor(self._pool, self._generate, request, deliver, closed)
        finish_reason = "stop"
        try:
            while (item := await items.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                for choice in item.get("choices", ()):
                    finish_reason = choice.get("finish_reason") or finish_reason
                    if text := choice["delta"].get("content"):
                        yield TextDelta(text)
                if usage := item.get("usage"):
                    yield _usage(usage, finish_reason)
        finally:
            closed.set()

    async def warm(self, messages: Sequence[Message], *, everywhere: bool = False) -> None:
        """Evaluate the prompt and write one token, which is thrown away; `everywhere`: once in every slot."""
        request = _request(messages, Sampling(max_tokens=1))
        places = [{"id_slot": slot} for slot in range(self._slots)] if everywhere else [{}]
        for place in places:
            async with aclosing(self._stream({**request, **place})) as items:
                async for _ in items:
                    pass

    async def work_done(self) -> int:
        metrics: str = await asyncio.to_thread(self._server.handle_metrics)
        steps = re.search(r"^llamacpp:n_decode_total (\d+)", metrics, re.MULTILINE)
        return int(steps[1]) if steps else 0

    def _generate(self, request: dict[str, Any], deliver: Deliver, closed: threading.Event) -> None:
        """Runs in a worker thread until the reply is written or `closed` is set.

        The library calls back for every token and, with `return_progress`, for every
        batch of the prompt; a true answer ends the generation there.
        """

        def on_chunk(chunk: dict[str, Any] | list[dict[str, Any]]) -> bool:
            for part in chunk if isinstance(chunk, list) else [chunk]:
                if "error" in part or "message" in part:
                    deliver(_failure(part))
                else:
                    deliver(part)
            return closed.is_set()

        if closed.is_set():
            return
        try:
            self._server.handle_chat_completions(request, on_chunk)
            deliver(None)
        except (RuntimeError, ValueError) as error:
            deliver(StageFailed(f"The tutor's model failed: {error}", stage="llm"))


def _request(messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
    request: dict[str, Any] = {
        "messages": list(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "cache_prompt": True,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "repeat_penalty": sampling.repeat_penalty,
        "stop": list(sampling.stop),
    }
    if sampling.seed is not None:
        request["seed"] = sampling.seed
    return request


def _usage(usage: dict[str, Any], finish_reason: str) -> Usage:
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return Usage(usage["prompt_tokens"], cached, usage["completion_tokens"], finish_reason)


def _failure(part: dict[str, Any]) -> StageFailed:
    error = part.get("error", part)
    message = error.get("message", str(error)) if isinstance(error, dict) else str(error)
    if "context" in message:
        hint = "lower limits.history_tokens or raise llm.context_tokens"
        message = f"The conversation is longer than the model's context; {hint}."
        return StageFailed(message, code="context_full", stage="llm")
    return StageFailed(f"The tutor's model failed: {message}", stage="llm")
