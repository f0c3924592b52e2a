"""The engines as a load: each built from a checkpoint, and one call of it as a learner's turn makes it."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from serve_app.audio import decode
from serve_app.launch.child_process import GREETING
from serve_app.protocols import STT_SAMPLE_RATE, Audio

UTTERANCE_S = 5.0
PIECES = ("Bom dia, tudo bem?", "Que bom te ver!", "Claro que sim!", "Boa pergunta!", "Muito bem, Pedro!")
"""What a voice says: the first piece of a reply, another one each time."""
REPLY_TOKENS, FIRST_TOKENS = 40, 10
"""Tokens of a reply, and how many of them are written when its first piece can be spoken."""
PROMPT_TOKENS = 550
LLM_BATCH = 16


def on_card() -> bool:
    return torch.cuda.is_available()


def device() -> str:
    return "cuda" if on_card() else "cpu"


def wait_for_card() -> None:
    """Until all kernels launched by this process are done."""
    if on_card():
        torch.cuda.synchronize()


@contextmanager
def alone(models: Path) -> Iterator[None]:
    """Nobody else is in such a block: processes import their libraries together, and measure one after the other."""
    with (models / "alone.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def speech(seconds: float = UTTERANCE_S) -> Audio:
    """The spoken greeting again and again, 16 kHz."""
    once = decode(GREETING.read_bytes(), max_seconds=30)
    tiled = np.tile(once, int(seconds * STT_SAMPLE_RATE / len(once)) + 1)[: int(seconds * STT_SAMPLE_RATE)]
    return np.ascontiguousarray(tiled, dtype=np.float32)


class Stt:
    """Whisper large-v3-turbo; callers who wait are transcribed together, as in the stage."""

    def __init__(self, models: Path, model: str = "turbo") -> None:
        from serve_app.engines.stt.transformers_whisper import TransformersWhisper

        self.engine = TransformersWhisper(models / model, device=device())
        self._audio = speech()
        self._waiting: list[asyncio.Future[None]] = []
        self._busy = False

    async def call(self) -> dict[str, float]:
        began = time.perf_counter()
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        if not self._busy:
            self._busy = True
            while self._waiting:
                batch, self._waiting = self._waiting[: self.engine.max_batch], self._waiting[self.engine.max_batch :]
                await self.engine.transcribe_batch([self._audio] * len(batch), language="pt")
                for one in batch:
                    one.set_result(None)
            self._busy = False
        await mine
        return {"ms": 1000 * (time.perf_counter() - began)}


class Voice:
    """One of the two TTS engines: Qwen3-TTS, or Kokoro."""

    def __init__(self, models: Path, model: str) -> None:
        if model == "qwen3":
            from serve_app.engines.tts.qwen3_tts import Qwen3Tts

            self.engine: Any = Qwen3Tts(
                models / model, device=device(), dtype="bfloat16" if on_card() else "float32", chunk_frames=4
            )
        else:
            from serve_app.engines.tts.kokoro import KokoroTorch
            from serve_app.weights.voices import voice_files

            self.engine = KokoroTorch(models / model, voices=voice_files(None), device=device())
        self._texts = itertools.cycle(PIECES)

    async def call(self, text: str | None = None) -> dict[str, float]:
        """The milliseconds to the first sound, to the last, and per 80 ms of speech after the first."""
        began, first, samples, first_samples = time.perf_counter(), 0.0, 0, 0
        stream = self.engine.synthesize(text or next(self._texts), voice=self.engine.voices[0], speed=1.0)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                samples += len(piece)
                if not first:
                    first, first_samples = time.perf_counter() - began, samples
        whole = time.perf_counter() - began
        frames = max((samples - first_samples) / self.engine.sample_rate * 12.5, 1.0)
        return {"first_ms": 1000 * first, "ms": 1000 * whole, "frame_ms": 1000 * (whole - first) / frames}


class Llm:
    """Stands in for vLLM with Ministral 3 3B: its matrix products on random weights, a decode step as a CUDA graph.

    No attention and no sampling but argmax, so it is a load and no engine. Replies are written together, up to 16.
    """

    def __init__(self, tiny: bool) -> None:
        layers, width, inner, queries, out, words = (26, 3072, 9216, 6144, 4096, 131_072)
        if tiny:
            layers, width, inner, queries, out, words = (2, 64, 128, 96, 64, 1000)
        on: dict[str, Any] = {"device": device(), "dtype": torch.bfloat16}
        self._layers = [
            [
                torch.randn(*shape, **on) * 0.02
                for shape in ((width, queries), (out, width), (width, 2 * inner), (inner, width))
            ]
            for _ in range(layers)
        ]
        self._head = torch.randn(width, words, **on) * 0.02
        self._prompt = torch.randn(PROMPT_TOKENS, width, **on)
        self._step_input = torch.randn(LLM_BATCH, width, **on)
        self._out, self._inner = out, inner
        self._graph: torch.cuda.CUDAGraph | None = None
        self._writing: dict[int, int] = {}
        self._numbers = itertools.count()
        self._stepped = asyncio.Condition()
        self._running = False
        with torch.inference_mode():
            self._forward(self._prompt[-1:].clone())
            self._capture()

    @torch.inference_mode()
    def _forward(self, rows: torch.Tensor) -> torch.Tensor:
        width = (rows.shape[-1],)
        for attention, output, up, down in self._layers:
            rows = rows + (torch.nn.functional.rms_norm(rows, width) @ attention)[:, : self._out] @ output
            both = torch.nn.functional.rms_norm(rows, width) @ up
            rows = rows + (torch.nn.functional.silu(both[:, : self._inner]) * both[:, self._inner :]) @ down
        return (torch.nn.functional.rms_norm(rows[-LLM_BATCH:], width) @ self._head).argmax(-1)

    def _capture(self) -> None:
        if not on_card():
            return
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._forward(self._step_input)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=stream):
                self._tokens = self._forward(self._step_input)
        torch.cuda.synchronize()

    def step(self) -> None:
        """One token for every reply."""
        if self._graph is None:
            self._forward(self._step_input).tolist()
        else:
            self._graph.replay()
            self._tokens.tolist()

    def read(self) -> None:
        """A prompt."""
        self._forward(self._prompt).tolist()

    async def call(self) -> dict[str, float]:
        """A reply: the milliseconds to its first piece, and per token after that."""
        began, me = time.perf_counter(), next(self._numbers)
        self._writing[me] = -1
        if not self._running:
            self._running = True
            self._loop = asyncio.create_task(self._write())
        first = 0.0
        while me in self._writing:
            async with self._stepped:
                await self._stepped.wait()
            if not first and self._writing.get(me, REPLY_TOKENS) >= FIRST_TOKENS:
                first = time.perf_counter() - began
        whole = time.perf_counter() - began
        return {
            "first_ms": 1000 * first,
            "ms": 1000 * whole,
            "token_ms": 1000 * (whole - first) / (REPLY_TOKENS - FIRST_TOKENS),
        }

    async def _write(self) -> None:
        """Steps while there are replies to write; a new one's prompt is read between two steps."""
        while self._writing:
            for number in [number for number, done in self._writing.items() if done < 0]:
                await asyncio.to_thread(self.read)
                self._writing[number] = 0
            await asyncio.to_thread(self.step)
            for number in [number for number, done in self._writing.items() if done >= 0]:
                self._writing[number] += 1
                if self._writing[number] >= REPLY_TOKENS:
                    del self._writing[number]
            async with self._stepped:
                self._stepped.notify_all()
        self._running = False


def build(kind: str, models: Path, tiny: bool) -> Stt | Voice | Llm:
    """The engine `kind`: stt, tts (Qwen3-TTS), kokoro, llm."""
    if kind == "stt":
        return Stt(models)
    return Llm(tiny) if kind == "llm" else Voice(models, "qwen3" if kind.startswith("tts") else kind)
