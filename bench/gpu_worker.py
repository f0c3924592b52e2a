"""One engine in a process of its own, which does what its parent asks for, and the parent's side of it.

A request is a line of JSON on the standard input, an answer one on the standard output; several may be under way.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ANSWER = "@answer "


class WorkerLost(Exception):
    """The process ended, or says that its engine failed."""


class Worker:
    """The parent's side. Close it at the end."""

    def __init__(self, kind: str, process: asyncio.subprocess.Process) -> None:
        self.kind, self.pid = kind, process.pid
        self._process = process
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = 0
        self._reader = asyncio.create_task(self._read())
        self.ready = asyncio.get_running_loop().create_future()
        self._answers[0] = self.ready
        self.beats: list[float] = []
        """When each small kernel of a `beat` was done."""

    @classmethod
    async def start(
        cls, kind: str, models: Path, log: Path, *, tiny: bool = False, environment: Mapping[str, str] | None = None
    ) -> Worker:
        """Start it; `ready` is done when its engine is built and warm."""
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.gpu_worker", kind, str(models), *(["--tiny"] if tiny else [])),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                limit=1 << 22,
                env={**os.environ, **(environment or {})},
            )
        return cls(kind, process)

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and not self._reader.done()

    async def ask(self, what: str, limit_s: float = 60.0, **more: Any) -> dict[str, Any]:
        """What the worker answers.

        Raises:
            WorkerLost: it ended, or its work failed.
            TimeoutError: no answer in `limit_s`.
        """
        self._numbers += 1
        number = self._numbers
        self._answers[number] = asyncio.get_running_loop().create_future()
        if not self.alive:
            raise WorkerLost(f"{self.kind} has ended with {self._process.returncode}")
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"number": number, "do": what, **more}).encode() + b"\n")
        answer = await asyncio.wait_for(self._answers[number], limit_s)
        if "error" in answer:
            raise WorkerLost(answer["error"])
        return answer

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if not line.startswith(ANSWER.encode()):
                continue
            answer = json.loads(line[len(ANSWER) :])
            if answer.get("beat"):
                self.beats.append(time.monotonic())
            elif (waiting := self._answers.pop(answer["number"], None)) and not waiting.done():
                waiting.set_result(answer)
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_result({"error": f"{self.kind}: the process has ended"})

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)

    async def close(self) -> None:
        self.kill()
        await self._process.wait()
        self._reader.cancel()


def _tell(**answer: Any) -> None:
    print(ANSWER + json.dumps(answer), flush=True)


class _Side:
    """The worker's side."""

    def __init__(self, kind: str, models: Path, tiny: bool) -> None:
        import torch

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._engine: Any = None
        if kind != "bare":
            from . import gpu_work

            self._engine = gpu_work.build(kind, models, tiny)

    async def warm(self) -> dict[str, Any]:
        if self._engine is None:
            return {}
        return {"warm_ms": [(await self._engine.call())["ms"] for _ in range(3)]}

    async def answer(self, request: dict[str, Any]) -> None:
        number, what = request["number"], request["do"]
        try:
            found = await getattr(self, what)(request)
        except Exception as error:  # noqa: BLE001 - everything is told to the parent
            found = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        _tell(number=number, **found)

    async def call(self, request: dict[str, Any]) -> dict[str, Any]:
        return await self._engine.call()

    async def busy(self, request: dict[str, Any]) -> dict[str, Any]:
        """Call without pause for so many seconds; the milliseconds of each call."""
        until, calls = time.perf_counter() + request["seconds"], []
        while time.perf_counter() < until:
            calls.append(await self._engine.call())
        return {"calls": calls}

    async def beat(self, request: dict[str, Any]) -> dict[str, Any]:
        """A matrix product and its result every 10 ms for so many seconds, each told when it is done."""
        import torch

        on = self._device
        matrix, until = torch.randn(request.get("size", 512), request.get("size", 512), device=on), time.perf_counter()
        until += request["seconds"]
        while time.perf_counter() < until:
            result = matrix
            for _ in range(request.get("products", 1)):
                result = matrix @ matrix
            float(result[0, 0])
            _tell(beat=True, number=-1)
            await asyncio.sleep(0.01)
        return {}

    async def allocate(self, request: dict[str, Any]) -> dict[str, Any]:
        import torch

        kept: list[torch.Tensor] = []
        try:
            for _ in range(int(request["gib"] * 4)):
                kept.append(torch.empty(1 << 28, dtype=torch.uint8, device=self._device))  # noqa: PERF401 - counted if one is refused
        except RuntimeError as error:
            return {"got_gib": len(kept) / 4, "refused": str(error).splitlines()[0][:200]}
        return {"got_gib": len(kept) / 4, "refused": None}

    async def fault(self, request: dict[str, Any]) -> dict[str, Any]:
        """A device-side assert: an index outside of a tensor."""
        import torch

        on = self._device
        torch.zeros(4, device=on)[torch.tensor([1 << 20], device=on)].cpu()
        return {"fault": False}


async def _serve(kind: str, models: Path, tiny: bool) -> None:
    loop = asyncio.get_running_loop()
    side = await asyncio.to_thread(_Side, kind, models, tiny)
    _tell(number=0, **await side.warm())
    tasks: set[asyncio.Task[None]] = set()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        task = asyncio.create_task(side.answer(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2]), "--tiny" in sys.argv))
