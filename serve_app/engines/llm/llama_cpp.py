"""Chat through llama.cpp's server (xllamacpp) inside this process: continuous batching, prompt cache.

Each slot of the server keeps the keys and values of the last conversation it served. A conversation
whose slot was taken by another gets its state back from host memory (`prompt_cache_mib`, see
llama_slots.py). So the first token of a turn costs only the new words of that turn.

The prompt that all conversations begin with is read once, by one slot. Its state is saved to a file
(about 30 KB a token), from which the other slots and the next start of the server restore it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import xllamacpp

from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.llm import reply_form
from serve_app.engines.llm.context_full import context_full
from serve_app.engines.llm.llama_slots import Slots
from serve_app.engines.llm.llama_states import PromptStates
from serve_app.engines.thread_stream import Put, thread_stream
from serve_app.errors import StackError, StageFailed, first_line
from serve_app.protocols import Message, Sampling, TextDelta, Usage

logger = logging.getLogger("ray.serve")

BATCH_TOKENS = 32
"""Prompt tokens evaluated at once. A generation can be stopped only between two batches, so
this limits how long the prompt of a cancelled request is still read: about half a second at
the 60 tokens/s of two cores. Larger batches were not faster there."""

QUIET = -1
"""llama.cpp's verbosity level for errors only."""


class LlamaCpp:
    """One GGUF model behind llama.cpp's server.

    `context_tokens` is per slot; `slots` is how many replies are written at once. The prompt is
    read with `threads`, the reply written with `decode_threads`. llama.cpp's threads spin while
    they wait for each other: while speech is synthesized on the same two cores, two decode
    threads are three times slower than one. `chat_template` (Jinja) is for base models that
    have none.
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
        state_folder: Path | None = None,
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
        params.cache_ram_mib = 0  # llama_slots.py keeps the states of conversations without a slot
        params.verbosity = QUIET
        params.ui = False
        params.endpoint_metrics = True
        # The library opens a port on the loopback address; the key keeps other programs from using it.
        key = secrets.token_hex(32)
        params.api_keys = [key]
        self._states = PromptStates(model, state_folder, f"{context_tokens} {chat_template}")
        params.slot_save_path = f"{self._states.folder}/"
        if chat_template is not None:
            params.chat_template = chat_template
        try:
            self._server = xllamacpp.Server(params)  # pyright: ignore[reportAttributeAccessIssue]
        except RuntimeError as error:
            raise StackError(f"llama.cpp cannot load {model}: {error}") from error
        self._http = httpx.Client(
            base_url=self._server.listening_address, headers={"Authorization": f"Bearer {key}"}, timeout=30
        )
        self._pool = ThreadPoolExecutor(4 * slots, thread_name_prefix="llama")
        self._count = slots
        self._slots = Slots(slots, self._slot, self._states.folder, prompt_cache_mib << 20)

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[TextDelta | Usage, None]:
        async with aclosing(self._stream(_request(messages, sampling))) as items:
            async for item in items:
                yield item

    async def _stream(self, request: dict[str, Any]) -> AsyncGenerator[TextDelta | Usage, None]:
        slot = None if "id_slot" in request else await self._slots.take(request["messages"])
        if slot is not None:
            request = {**request, "id_slot": slot.number}
        finish_reason = "stop"

        def finished() -> None:
            # Called when llama.cpp has stopped, not when the stream is closed: only then is the slot free.
            if slot is not None:
                self._slots.give_back(slot)

        async with aclosing(thread_stream(self._pool, partial(self._generate, request), finished=finished)) as items:
            async for item in items:
                for choice in item.get("choices", ()):
                    finish_reason = choice.get("finish_reason") or finish_reason
                    if text := choice["delta"].get("content"):
                        yield TextDelta(text)
                if usage := item.get("usage"):
                    yield _usage(usage, item.get("timings") or {}, finish_reason)

    async def warm(self, messages: Sequence[Message], *, everywhere: bool = False) -> None:
        """Read the prompt and write one token, which is dropped; with `everywhere` copy the state to every slot."""
        request = _request(messages, Sampling(max_tokens=1))
        if not everywhere:
            await self._run(request)
            return
        key = self._states.key(messages)
        state = self._states.find(key)
        if state is not None and not await asyncio.to_thread(self._slot, 0, "restore", state):
            self._states.drop(state)
            state = None
        self._slots.forget()
        # Also after a restore, where it costs one token: it brings the weights into memory before the first turn.
        await self._run({**request, "id_slot": 0})
        if state is None:
            draft = self._states.draft(key)
            saved = await asyncio.to_thread(self._slot, 0, "save", draft)
            state = self._states.keep(draft, key) if saved else None
        for slot in range(1, self._count):
            if state is None or not await asyncio.to_thread(self._slot, slot, "restore", state):
                await self._run({**request, "id_slot": slot})

    async def _run(self, request: dict[str, Any]) -> None:
        async with aclosing(self._stream(request)) as items:
            async for _ in items:
                pass

    def _slot(self, slot: int, action: str, file: str) -> bool:
        """Save or restore a slot's state. False if that fails: the slot then has to read the prompt itself."""
        try:
            answer = self._http.post(f"/slots/{slot}", params={"action": action}, json={"filename": file})
        except httpx.HTTPError:
            return False
        return answer.is_success

    async def work_done(self) -> int:
        metrics: str = await asyncio.to_thread(self._server.handle_metrics)
        steps = re.search(r"^llamacpp:n_decode_total (\d+)", metrics, re.MULTILINE)
        return int(steps[1]) if steps else 0

    async def check(self) -> None:
        """Nothing to check: the server is part of this process."""

    def close(self) -> None:
        """Nothing to do: the server ends with this process."""

    def _generate(self, request: dict[str, Any], scope: CancelScope, put: Put[dict[str, Any]]) -> None:
        """Runs in a worker thread until the reply is written or the scope is cancelled; puts one item a token.

        The library calls `on_chunk` for every token and, with `return_progress`, for every
        batch of the prompt; it stops there if `on_chunk` returns True. What `on_chunk` raises, the library
        drops, and the reply would just end: so it is kept, and raised afterwards.
        """
        failure: Exception | None = None

        def on_chunk(chunk: dict[str, Any] | list[dict[str, Any]]) -> bool:
            nonlocal failure
            try:
                for part in chunk if isinstance(chunk, list) else [chunk]:
                    if "error" in part or "message" in part:
                        failure = _failure(part)
                    else:
                        put(part)
            except Exception as error:  # noqa: BLE001 - of any kind: the library would drop it; raised below
                failure = error
            return scope.cancelled or failure is not None

        if scope.cancelled:
            return
        try:
            self._server.handle_chat_completions(request, on_chunk)
        except (RuntimeError, TypeError, ValueError) as error:  # of C++, and of the request's JSON
            failure = error
        if isinstance(failure, StageFailed):
            raise failure
        if failure is not None:
            logger.error("llama.cpp refused a request or failed", exc_info=failure)
            raise StageFailed(f"The tutor's model failed: {first_line(failure)}", stage="llm") from failure


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
    }
    if sampling.form is not None:
        request["grammar"] = reply_form.gbnf(sampling.form)
    if sampling.json_schema is None:
        request["stop"] = list(sampling.stop)
    else:  # the texts that end a spoken reply may occur inside JSON; the schema ends it
        schema = {"name": "reply", "strict": True, "schema": dict(sampling.json_schema)}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    if sampling.seed is not None:
        request["seed"] = sampling.seed
    return request


def _usage(usage: dict[str, Any], timings: dict[str, float], finish_reason: str) -> Usage:
    """The `timings` of llama.cpp begin when a slot takes the request."""
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return Usage(
        usage["prompt_tokens"],
        cached,
        usage["completion_tokens"],
        finish_reason,
        prefill_s=timings.get("prompt_ms", 0.0) / 1000,
        decode_s=timings.get("predicted_ms", 0.0) / 1000,
    )


def _failure(part: dict[str, Any]) -> StageFailed:
    error = part.get("error", part)
    message = error.get("message", str(error)) if isinstance(error, dict) else str(error)
    if "context" in message:
        return context_full()
    return StageFailed(f"The tutor's model failed: {message}", stage="llm")
