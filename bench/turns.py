"""One conversation, several ways, turn by turn: by the server, one model after the other, by pipecat.

The server runs as it ships. All ways have the same weights, prompt, sampling and longest reply. pipecat takes part
where its environment is (`make bench` builds it). All figures that are promised are ratios or differences within one
run, because the machine's speed varies from hour to hour.

Then what Ray costs, with a server that leaves the whole reply to the LLM, at temperature 0: so the same engines
chained in one process write the same. That is less than what a turn varies by: it is the median of twenty pairs, each
way first in every other one, with the interval that a bootstrap gives it.

Keep the machine idle while it runs (about twelve minutes).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import re
import statistics
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.teaching.openings import of_replies

from . import inprocess, others
from .promised import PROMISED
from .recordings import recordings
from .server import Heard, Server, serving, turn

Way = Callable[[bytes], Awaitable[Heard]]
Turns = Mapping[str, Sequence[Heard]]

GREEDY = {"sampling": {"temperature": 0.0}}
MODEL_ONLY = {"openings": False, "recast": False, "questions": False, "follow_ups": False, "correction": "none"}
"""The LLM writes the whole reply."""

CONVERSATION_TURNS = 20
SETTLE_S = 0.5
"""After each turn, since threads may still spin; and after the server stood still, since Ray catches up."""

_WITH_NAME = re.compile(r"Prazer, [^!]+!")
"""The one opening that is not in the list, because of the name."""


async def interleaved(ways: Mapping[str, Way], audio: Sequence[bytes]) -> Turns:
    """Every way answers every recording; which one begins changes from turn to turn."""
    heard: dict[str, list[Heard]] = {name: [] for name in ways}
    names = list(ways)
    for number, recording in enumerate(audio):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            heard[name].append(await ways[name](recording))
            await asyncio.sleep(SETTLE_S)
    return heard


def by(server: Server) -> Way:
    """A conversation with the server."""
    session = uuid.uuid4().hex
    return lambda recording: asyncio.to_thread(turn, server.url, recording, session)


def alone(other: others.Other, server: Server) -> Way:
    """The other way while the server stands still: Ray's processes are busy even when nobody talks."""

    async def answer(recording: bytes) -> Heard:
        with server.suspended():
            heard = await other.turn(recording)
        await asyncio.sleep(SETTLE_S)
        return heard

    return answer


def answers(audio: Sequence[bytes]) -> tuple[dict[str, float], Turns]:
    """The server as it ships, one model after the other, and pipecat if it is installed."""
    with ExitStack() as stack:
        server = stack.enter_context(serving())
        shared = others.settings()
        script = stack.enter_context(others.started("sequential", shared, audio[0]))
        ways = {"served": by(server), "one_after_the_other": alone(script, server)}
        if others.PEER_PYTHON.exists():
            peer = stack.enter_context(others.started("peer_pipecat", shared, audio[0], others.PEER_PYTHON))
            ways["pipecat"] = alone(peer, server)
        heard = asyncio.run(interleaved(ways, audio))
        return {**compared(heard), "ready_s": server.ready_s, "memory_gb": server.memory_gb()}, heard


def compared(heard: Turns) -> dict[str, float]:
    """The server's times, and their ratios to the others', turn by turn."""
    served, script = heard["served"], heard["one_after_the_other"]
    found = {
        "first_audio_s": _median(one.first_audio_s for one in served),
        "written_s": _median(map(written_s, served)),
        "gap_s": _median(one.gap_s() for one in served),
        "one_after_the_other_s": _median(one.first_audio_s for one in script),
        "first_audio_ratio": _median(a.first_audio_s / b.first_audio_s for a, b in zip(served, script, strict=True)),
    }
    if peer := heard.get("pipecat"):
        pairs = list(zip(served, peer, strict=True))
        found |= {
            "pipecat_first_audio_s": _median(one.first_audio_s for one in peer),
            "pipecat_gap_s": _median(one.gap_s() for one in peer),
            "first_audio_to_pipecat": _median(a.first_audio_s / b.first_audio_s for a, b in pairs),
            "written_to_pipecat": _median(written_s(a) / b.first_audio_s for a, b in pairs),
        }
    return found


def written_s(heard: Heard) -> float:
    """When the first sound came that is more than the opening."""
    named = _WITH_NAME.match(heard.response)
    return heard.after_s(named[0] if named else next(of_replies([heard.response]), ""))


def overhead(audio: Sequence[bytes]) -> tuple[dict[str, float], Turns]:
    """What Ray and HTTP add, and how the first token's time grows with the conversation."""
    with serving({"TutorLLM": GREEDY, "Ingress": {"teaching": MODEL_ONLY}}) as server:

        async def measure() -> Turns:
            chained = inprocess.Chained(await inprocess.stages(GREEDY))
            return await interleaved({"served": by(server), "chained": chained.turn}, audio)

        heard = asyncio.run(measure())
    served, chained = heard["served"], heard["chained"]
    same = [(a, b) for a, b in zip(served, chained, strict=True) if a.response == b.response]
    overheads = [a.total_s - b.total_s for a, b in same]
    low, high = interval(overheads)
    first_token = [one.llm_first_token_s for one in served]
    return {
        "model_only_first_audio_s": _median(one.first_audio_s for one in served),
        "first_token_turn_3_s": first_token[2],
        "first_token_turn_20_s": first_token[-1],
        "first_token_ratio": first_token[-1] / first_token[2],
        "first_token_ratio_of_medians": _median(first_token[-3:]) / _median(first_token[1:4]),
        "ray_overhead_ms": 1000 * _median(overheads),
        "ray_overhead_low_ms": 1000 * low,
        "ray_overhead_high_ms": 1000 * high,
        "ray_overhead_share": _median(overheads) / _median(one.total_s for one in chained),
        "ray_first_audio_ms": 1000 * _median(a.first_audio_s - b.first_audio_s for a, b in same),
        "same_replies": len(same),
    }, heard


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
    parser.add_argument("--turns", type=int, default=CONVERSATION_TURNS, help="fewer for a trial, at least 4")
    parser.add_argument("--only", choices=("answers", "overhead"), help="half of it")
    arguments = parser.parse_args()
    audio = recordings(arguments.turns)
    result: dict[str, float] = {}
    turns: dict[str, Any] = {}
    for part in (answers, overhead):
        if arguments.only in (None, part.__name__):
            found, heard = part(audio)
            result |= found
            turns[part.__name__] = {way: [asdict(one) for one in of_way] for way, of_way in heard.items()}
    if not others.PEER_PYTHON.exists():
        print(f"pipecat is not compared: no {others.PEER_PYTHON}; `make bench` installs it")
    for name, value in result.items():
        bound = f"  (at most {PROMISED[name]:g})" if name in PROMISED else ""
        print(f"{name:32} {value:>9.3f}{bound}")
    if arguments.save:
        machine = {"machine": platform.machine(), "python": platform.python_version()}
        saved = json.dumps({"figures": result, **machine, "turns": turns}, ensure_ascii=False, indent=1)
        arguments.save.write_text(saved + "\n", "utf-8")


if __name__ == "__main__":
    main()
