"""Engines in processes of their own on one card: who slows whom, and learners at once, with and without MPS."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from . import gpu_mps
from .gpu_part import Part, engine_wanted
from .gpu_worker import Worker, WorkerLost

ENGINES = ("stt", "tts", "llm", "kokoro")
TOGETHER = (
    *(("stt",), ("tts",), ("llm",), ("kokoro",)),
    *(
        ("stt", "tts"),
        ("stt", "llm"),
        ("tts", "llm"),
        ("kokoro", "llm"),
        ("stt", "tts", "llm"),
        ("stt", "kokoro", "llm"),
    ),
)
TALKERS = (1, 2, 4, 8, 16)
THINK_S = 1.0


def summary(calls: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """The median, the 95th percentile and the number of each figure."""
    found: dict[str, Any] = {"n": len(calls)}
    for name in calls[0] if calls else ():
        values = sorted(call[name] for call in calls)
        found[name] = round(statistics.median(values), 2)
        found[f"{name}_p95"] = round(values[min(len(values) - 1, int(0.95 * len(values)))], 2)
    return found


async def started(
    part: Part, kinds: Sequence[str], environment: Mapping[str, str], limit_s: float
) -> dict[str, Worker]:
    """One worker a kind, warm; a kind that does not start is recorded and left out."""
    began = time.perf_counter()
    workers = {
        kind: await Worker.start(
            kind, part.models, part.folder / f"{part.name}-{kind}.log", tiny=part.tiny, environment=environment
        )
        for kind in kinds
    }
    for kind, worker in list(workers.items()):
        try:
            async with asyncio.timeout(max(1.0, limit_s - (time.perf_counter() - began))):
                answer = await worker.ready
            failed = answer.get("error")
        except TimeoutError:
            answer, failed = {}, f"not ready in {limit_s:.0f} s"
        if failed:
            part.row(what="not started", kind=kind, error=failed)
            await worker.close()
            del workers[kind]
        else:
            part.row(what="started", kind=kind, seconds=round(time.perf_counter() - began, 1), **answer)
    return workers


async def together(part: Part, workers: Mapping[str, Worker], sharing: str, seconds: float) -> None:
    """Each set of engines without pause."""
    for kinds in TOGETHER:
        if not set(kinds) <= set(workers) or part.left_s() < 3 * seconds + 10:
            continue
        answers = await asyncio.gather(
            *(workers[kind].ask("busy", seconds + 30, seconds=seconds) for kind in kinds), return_exceptions=True
        )
        for kind, answer in zip(kinds, answers, strict=True):
            beside = "+".join(other for other in kinds if other != kind) or "alone"
            if isinstance(answer, BaseException):
                part.row(what="beside", sharing=sharing, engine=kind, beside=beside, error=repr(answer))
            else:
                part.row(what="beside", sharing=sharing, engine=kind, beside=beside, **summary(answer["calls"]))


async def talker(
    number: int, talkers: int, workers: Mapping[str, Worker], voice: str, until: float
) -> list[dict[str, float]]:
    """One learner's turns: hear, write, speak; then listens and thinks. First audio ends the wait."""
    turns: list[dict[str, float]] = []
    await asyncio.sleep(2.0 * number / talkers)
    while time.perf_counter() < until:
        began = time.perf_counter()
        heard = await workers["stt"].ask("call")
        reply = asyncio.create_task(workers["llm"].ask("call"))
        # The worker answers at the end of a reply; its first piece was written so much earlier.
        written = await reply
        spoken = await workers[voice].ask("call")
        late = written["ms"] - written["first_ms"]
        whole = 1000 * (time.perf_counter() - began)
        first = whole - late - (spoken["ms"] - spoken["first_ms"])
        parts = {"stt_ms": heard["ms"], "llm_first_ms": written["first_ms"], "tts_first_ms": spoken["first_ms"]}
        turns.append({"first_audio_ms": first, **parts})
        await asyncio.sleep(THINK_S)
    return turns


async def talkers(part: Part, workers: Mapping[str, Worker], sharing: str, voice: str, seconds: float) -> None:
    for count in TALKERS:
        if not {"stt", "llm", voice} <= set(workers) or part.left_s() < 2 * seconds + 5:
            return
        until = time.perf_counter() + seconds
        try:
            async with asyncio.timeout(3 * seconds + 20):
                found = await asyncio.gather(*(talker(number, count, workers, voice, until) for number in range(count)))
        except (WorkerLost, TimeoutError) as error:
            part.row(what="talkers", sharing=sharing, voice=voice, talkers=count, error=repr(error))
            return
        turns = [one for mine in found for one in mine]
        part.row(what="talkers", sharing=sharing, voice=voice, talkers=count, **summary(turns))


async def measure(part: Part, sharing: str) -> None:
    """One way of sharing, in the time that the part has."""
    with gpu_mps.mps() if sharing == "mps" else nullcontext() as daemon:
        kinds = [kind for kind in ENGINES if engine_wanted(kind, part)]
        workers = await started(part, kinds, daemon.environment if daemon else {}, limit_s=0.5 * part.left_s())
        try:
            part.memory({worker.pid: kind for kind, worker in workers.items()}, sharing=sharing)
            each_s = 0.3 if part.tiny else 2.0
            await together(part, workers, sharing, each_s)
            for voice in ("tts", "kokoro"):
                await talkers(part, workers, sharing, voice, 1.0 if part.tiny else 5.0)
        finally:
            for worker in workers.values():
                await worker.close()


def time_slicing(part: Part) -> None:
    """Who slows whom, and 1 to 16 learners, under the driver's time slicing."""
    asyncio.run(measure(part, "time-slicing"))


def mps(part: Part) -> None:
    """The same under MPS."""
    if not gpu_mps.at_hand():
        part.row(what="skipped", error=f"no {gpu_mps.CONTROL} here")
        return
    asyncio.run(measure(part, "mps"))
