"""One conversation, three ways, turn by turn: by the server, chained in one process, one model after the other.

All figures that are promised are ratios or differences within one run, because the machine's
speed varies from hour to hour. What Ray costs is less than what a turn varies by: it is the
median of twenty pairs, each way first in every other one, with the interval that a bootstrap
gives it. Keep the machine idle while it runs (about seven minutes).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from . import inprocess, sequential
from .recordings import recordings
from .server import Heard, Server, serving, turn

GREEDY = {"sampling": {"temperature": 0.0}}
"""The three ways must be asked the same and answer the same."""

SEQUENTIAL_TURNS = 10
CONVERSATION_TURNS = 20


async def compare(server: Server, audio: Sequence[bytes]) -> dict[str, Any]:
    """Twenty turns, served and chained, the first ten also one model after the other; all interleaved."""
    chained = inprocess.Chained(await inprocess.stages(GREEDY))
    session = uuid.uuid4().hex
    served: list[Heard] = []
    local: list[Heard] = []
    one_by_one: list[float] = []
    with sequential.started(GREEDY) as plain:
        for number, recording in enumerate(audio):
            if number % 2:
                local.append(await chained.turn(recording))
            served.append(await asyncio.to_thread(turn, server.url, recording, session))
            if not number % 2:
                local.append(await chained.turn(recording))
            if number < SEQUENTIAL_TURNS:
                one_by_one.append(await plain.turn(recording))
    return {"served": served, "local": local, "sequential": one_by_one}


def figures(server: Server, measured: dict[str, Any]) -> dict[str, Any]:
    """The promised figures, from the raw times."""
    served, local, one_by_one = measured["served"], measured["local"], measured["sequential"]
    ten = served[:SEQUENTIAL_TURNS]
    overheads = [a.total_s - b.total_s for a, b in zip(served, local, strict=True) if a.response == b.response]
    low, high = interval(overheads)
    first_token = [heard.llm_first_token_s for heard in served]
    return {
        "first_audio_s": _median(heard.first_audio_s for heard in ten),
        "one_after_the_other_s": _median(one_by_one),
        "first_audio_ratio": _median(a.first_audio_s / b for a, b in zip(ten, one_by_one, strict=True)),
        "gap_s": _median(heard.gap_s() for heard in ten),
        "first_token_turn_3_s": first_token[2],
        "first_token_turn_20_s": first_token[-1],
        "first_token_ratio": first_token[-1] / first_token[2],
        "first_token_ratio_of_medians": _median(first_token[-3:]) / _median(first_token[1:4]),
        "ray_overhead_ms": 1000 * _median(overheads),
        "ray_overhead_low_ms": 1000 * low,
        "ray_overhead_high_ms": 1000 * high,
        "ray_overhead_share": _median(overheads) / _median(heard.total_s for heard in local),
        "ray_first_audio_ms": 1000
        * _median(a.first_audio_s - b.first_audio_s for a, b in zip(served, local, strict=True)),
        "same_replies": len(overheads),
        "ready_s": server.ready_s,
        "memory_gb": server.memory_gb(),
    }


PROMISED = {
    "first_audio_ratio": 0.55,
    "gap_s": 0.9,
    "first_token_ratio": 1.5,
    "ray_overhead_ms": 60,
    "ray_overhead_share": 0.08,
    "ready_s": 40,
    "memory_gb": 6,
}
"""Each figure's upper bound."""


def interval(values: Sequence[float], resamples: int = 10_000) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median."""
    drawn = np.random.default_rng(0).choice(np.asarray(values), (resamples, len(values)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return float(low), float(high)


def _median(values: Any) -> float:
    return float(statistics.median(values))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures and every turn's times as JSON")
    arguments = parser.parse_args()
    audio = recordings(CONVERSATION_TURNS)
    with serving({"TutorLLM": GREEDY}) as server:
        measured = asyncio.run(compare(server, audio))
        result = figures(server, measured)
    for name, value in result.items():
        bound = f"  (at most {PROMISED[name]:g})" if name in PROMISED else ""
        shown = "-" if value is None else f"{value:.3f}"
        print(f"{name:32} {shown:>9}{bound}")
    if arguments.save:
        turns = {
            "served": [asdict(heard) for heard in measured["served"]],
            "chained_in_one_process": [asdict(heard) for heard in measured["local"]],
            "one_after_the_other_s": measured["sequential"],
        }
        machine = {"machine": platform.machine(), "python": platform.python_version()}
        saved = json.dumps({"figures": result, **machine, "turns": turns}, ensure_ascii=False, indent=1)
        arguments.save.write_text(saved + "\n", "utf-8")


if __name__ == "__main__":
    main()
