"""The vLLM engine on a card by itself: start, first token, tokens of 1 to 16 replies at once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from .gpu_checkpoints import SAID
from .gpu_part import Part, has
from .gpu_sharing import summary

REPLIES = (1, 4, 8, 16)
TOKENS = 96
KV_CACHE_GIB = 3.58
"""What the modal stack leaves Ministral on a card of 24 GB."""


def _messages(seed: int) -> list[Any]:
    """A conversation of about 550 tokens that begins as no other."""
    words, text = random.Random(seed), f"Lição {seed}. "
    while len(text) < 1900:
        text += words.choice(SAID.split()) + " "
    return [{"role": "system", "content": text}, {"role": "user", "content": "Oi, tudo bem?"}]


async def _reply(engine: Any, messages: Sequence[Any], tokens: int) -> dict[str, float]:
    from serve_app.protocols import Sampling, TextDelta

    began, first, last, usage = time.perf_counter(), 0.0, 0.0, None
    sampling = Sampling(temperature=0.4, max_tokens=tokens, stop=())
    async with aclosing(engine.stream(messages, sampling)) as items:
        async for item in items:
            if isinstance(item, TextDelta):
                first, last = first or time.perf_counter(), time.perf_counter()
            else:
                usage = item
    found = {"first_ms": 1000 * (first - began), "ms": 1000 * (time.perf_counter() - began)}
    written = getattr(usage, "completion_tokens", tokens)
    if written > 1:
        found["token_ms"] = 1000 * (last - first) / (written - 1)
    return found | {"tokens": float(written)}


async def _measure(part: Part) -> None:
    import serve_app.engines.llm.vllm as engine_module

    began = time.perf_counter()
    more: dict[str, Any] = {"device": "cpu", "cuda_graphs": False} if part.tiny else {"share": 0.5}
    if not part.tiny:
        more["kv_cache_bytes"] = int(KV_CACHE_GIB * 2**30)
    real = engine_module._params

    def never_ending(*args: Any) -> Any:
        made: Any = real(*args)
        made.ignore_eos = True
        return made

    engine_module._params = never_ending
    context = 1024 if part.tiny else 4096
    engine = await asyncio.to_thread(
        lambda: engine_module.Vllm(
            part.models / "ministral", format="mistral", context_tokens=context, max_replies=16, **more
        )
    )
    part.row(what="start", seconds=round(time.perf_counter() - began, 1))
    part.memory({})
    numbers = iter(range(1000))
    tokens = 8 if part.tiny else TOKENS
    try:
        for number in range(2):
            part.row(what="call", number=number + 1, **await _reply(engine, _messages(next(numbers)), 8))
        new = [await _reply(engine, _messages(next(numbers)), 4) for _ in range(2 if part.tiny else 8)]
        part.row(what="first token, new prompt", **summary(new))
        same = _messages(next(numbers))
        cached = [await _reply(engine, same, 4) for _ in range(2 if part.tiny else 8)][1:]
        part.row(what="first token, cached prompt", **summary(cached))
        for count in REPLIES:
            first_time = None
            for again in range(1 if part.tiny else 3):
                found = await asyncio.gather(*(_reply(engine, _messages(7), tokens) for _ in range(count)))
                first_time = first_time or round(found[0]["ms"], 1)
                if part.tiny or again == 2:
                    part.row(what="replies at once", replies=count, first_time_ms=first_time, **summary(found))
        part.memory({})
    finally:
        engine.close()


def vllm(part: Part) -> None:
    """The vLLM engine alone, with Ministral."""
    if not has("vllm") or not (part.models / "ministral").exists():
        part.row(what="skipped", error="no vllm, or no checkpoint")
        return
    asyncio.run(_measure(part))
