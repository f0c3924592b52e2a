"""What a greedy client costs ten polite ones: the CPU stack, in one run, with an API key for each client.

The polite ones speak, listen to the end, think, and speak again. The greedy one sends eight recordings at once, and the
next one whenever one is answered. Blocks without and with it take turns, because the machine's speed varies.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from .recordings import recordings
from .server import Heard, serving, turn
from .talkers import quantiles, talk

POLITE = 10
GREEDY = 8
BLOCK_S = 45.0
BLOCKS = 2
TRY_AGAIN_S = 0.5


def greedy(url: str, recording: bytes, until: float, key: str) -> int:
    """One of its eight lines; how many answers it got."""
    answers = 0
    while time.perf_counter() < until:
        try:
            turn(url, recording, secrets.token_hex(8), key=key)
            answers += 1
        except (httpx.HTTPStatusError, RuntimeError):
            time.sleep(TRY_AGAIN_S)  # it was refused, or made room for another
    return answers


def block(url: str, audio: Sequence[bytes], keys: Sequence[str], *, with_greedy: bool) -> tuple[list[Heard], int]:
    """The turns of the polite clients that began in the block, and how many answers the greedy one got."""
    until = time.perf_counter() + BLOCK_S
    with ThreadPoolExecutor(POLITE + GREEDY) as pool:
        lines = [pool.submit(greedy, url, audio[0], until, keys[-1]) for _ in range(GREEDY if with_greedy else 0)]
        runs = [pool.submit(talk, url, audio, number, POLITE, until, keys[number]) for number in range(POLITE)]
        polite = [heard for run in runs for _, heard in run.result()]
        return polite, sum(line.result() for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="of either kind; fewer for a trial")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures as JSON")
    arguments = parser.parse_args()
    audio = recordings(POLITE)
    keys = [secrets.token_hex(16) for _ in range(POLITE + 1)]
    os.environ["PARLE_API_KEYS"] = ",".join(f"client-{number}:{key}" for number, key in enumerate(keys))
    first_audio: dict[bool, list[float]] = {False: [], True: []}
    answers = 0
    with serving() as server:
        turn(server.url, audio[0], "warm-up", key=keys[0])
        for number in range(2 * arguments.blocks):
            with_greedy = number % 2 == 1
            polite, got = block(server.url, audio, keys, with_greedy=with_greedy)
            first_audio[with_greedy] += [heard.first_audio_s for heard in polite]
            answers += got
            print(f"block {number + 1}: {len(polite)} polite turns, {got} answers for the greedy client", flush=True)
    figures = {"greedy_answers": float(answers)}
    for name, with_greedy in (("alone", False), ("beside_greedy", True)):
        figures[f"{name}_turns"] = float(len(first_audio[with_greedy]))
        figures[f"{name}_p50_s"], figures[f"{name}_p95_s"] = quantiles(first_audio[with_greedy])
    figures["p95_ratio"] = figures["beside_greedy_p95_s"] / figures["alone_p95_s"]
    for name, value in figures.items():
        print(f"{name:24} {value:>9.2f}")
    if arguments.save:
        arguments.save.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
