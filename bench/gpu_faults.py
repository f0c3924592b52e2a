"""What becomes of the other processes on a card under MPS when one is killed, ended in good order, or faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import pairwise

from . import gpu_mps
from .gpu_part import Part
from .gpu_worker import Worker, WorkerLost

LIMIT_GIB = 4
HEAVY = {"size": 8192, "products": 20}
"""The one that is killed has about 30 ms of work in flight at any time."""


async def _bare(part: Part, daemon: gpu_mps.Mps, name: str, **more: str) -> Worker:
    environment = {**daemon.environment, **more}
    worker = await Worker.start(
        "bare", part.models, part.folder / f"{part.name}-{name}.log", tiny=part.tiny, environment=environment
    )
    await asyncio.wait_for(worker.ready, 40)
    return worker


def _longest_pause(beats: Sequence[float], after: float) -> float | None:
    """Seconds without a finished kernel around and after a moment; None: there was none after it."""
    later = [beat for beat in beats if beat >= after - 0.2]
    if not later or later[-1] < after:
        return None
    return round(max((b - a for a, b in pairwise(later)), default=0.0), 3)


async def _scenario(part: Part, daemon: gpu_mps.Mps, name: str) -> None:
    """Two others beat while the victim works and then ends in one of the ways."""
    others = await asyncio.gather(_bare(part, daemon, "other-1"), _bare(part, daemon, "other-2"))
    victim = await _bare(part, daemon, "victim")
    server = daemon.server()
    beating = [asyncio.create_task(worker.ask("beat", 40, seconds=9.0)) for worker in others]
    size = {"size": 256, "products": 20} if part.tiny else HEAVY
    working = asyncio.create_task(victim.ask("beat", 40, seconds=12.0, **size))
    await asyncio.sleep(3)
    happened = time.monotonic()
    more: dict[str, object] = {}
    if name == "SIGKILL":
        victim.kill()
    elif name == "terminate_client, then SIGKILL":
        more["answer"] = await asyncio.to_thread(daemon.ask, f"terminate_client {server} {victim.pid}")
        more["terminate_s"] = round(time.monotonic() - happened, 2)
        victim.kill()
    else:
        asked = asyncio.create_task(victim.ask("fault", 20))
        await asyncio.sleep(2)
        more["victim"] = repr(asked.exception()) if asked.done() else "no answer in 2 s"
    ended = await asyncio.gather(*beating, return_exceptions=True)
    told = ["works" if not isinstance(end, BaseException) else str(end)[:160] for end in ended]
    part.row(
        what="fault",
        how=name,
        others=told,
        pause_s=[_longest_pause(worker.beats, happened) for worker in others],
        status=await asyncio.to_thread(daemon.ask, f"get_server_status {server}"),
        server_before=server,
        server_after=daemon.server(),
        **more,
    )
    working.cancel()
    for worker in (*others, victim):
        await worker.close()
    began = time.monotonic()
    try:
        fresh = await _bare(part, daemon, "fresh")
        await fresh.ask("beat", 20, seconds=0.5)
        part.row(what="new client", after=name, works=True, seconds=round(time.monotonic() - began, 1))
        await fresh.close()
    except (WorkerLost, TimeoutError) as error:
        part.row(what="new client", after=name, works=False, error=repr(error)[:200])
    part.row(what="log", after=name, lines=daemon.log(12))


async def _limit(part: Part, daemon: gpu_mps.Mps) -> None:
    """Whether CUDA_MPS_PINNED_DEVICE_MEM_LIMIT holds with PyTorch."""
    held = await _bare(part, daemon, "limited", CUDA_MPS_PINNED_DEVICE_MEM_LIMIT=f"0={LIMIT_GIB}G")
    gib = 0.5 if part.tiny else LIMIT_GIB + 2
    part.row(what="memory limit", limit_gib=LIMIT_GIB, asked_gib=gib, **await held.ask("allocate", gib=gib))
    await held.close()


async def _faults(part: Part) -> None:
    with gpu_mps.mps() as daemon:
        await _limit(part, daemon)
        for name in ("SIGKILL", "terminate_client, then SIGKILL", "device-side assert"):
            if part.left_s() < 25:
                part.row(what="fault", how=name, error="no time left")
                continue
            try:
                async with asyncio.timeout(min(60.0, part.left_s())):
                    await _scenario(part, daemon, name)
            except (WorkerLost, TimeoutError) as error:
                part.row(what="fault", how=name, error=repr(error)[:300], log=daemon.log(12))


def faults(part: Part) -> None:
    """Killed clients and fatal faults under MPS, and its memory limit."""
    if not gpu_mps.at_hand():
        part.row(what="skipped", error=f"no {gpu_mps.CONTROL} here")
        return
    asyncio.run(_faults(part))
