"""What a store of conversations costs a turn: `python -m bench.store [URL ...]`, by default memory and a SQLite file.

"before" is the wait before a turn begins: its lease, and the conversation. The six writes of a turn are made here at
once; in a lesson they lie seconds apart, beside the voice.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import replace

from serve_app.config.store import StoreSettings
from serve_app.lesson.conversation import Exchange
from serve_app.lesson.kept import KeptTurn
from serve_app.protocols import Word
from serve_app.store.opening import open_store

TURNS = 60
WORDS = tuple(Word("palavra", 0.4 * n, 0.4 * n + 0.3, 0.9) for n in range(12))
HEARD = KeptTurn("t", 0.0, "Ontem eu fui ao mercado e comprei frutas, leite, ovos e pão.", WORDS, "pt", "A2")
REPLY = "Que bom! Quais frutas você comprou? E o que você mais gosta de comer no café da manhã?"


async def measure(url: str) -> tuple[list[float], list[float], list[float]]:
    """Seconds of each turn: before it begins, of the CPU that its writes took, until they were written."""
    store = await open_store(StoreSettings.model_validate({"url": url}), "bench", {})
    before, cpu, written = [], [], []
    try:
        for number in range(TURNS):
            start = time.perf_counter()
            async with store.turn("bench") as turn:
                before.append(time.perf_counter() - start)
                start, used = time.perf_counter(), time.process_time()
                for part in range(5):
                    turn.write(replace(HEARD, reply=REPLY[: 20 * part]))
                    await asyncio.sleep(0)
                after = turn.conversation.with_exchange(Exchange(HEARD.transcript, REPLY, "A2"), 40 * number)
                turn.write(replace(HEARD, reply=REPLY, state="complete"), after)
            while store.health().unwritten:  # noqa: ASYNC110 - the writer tells nobody
                await asyncio.sleep(0.0005)
            written.append(time.perf_counter() - start)
            cpu.append(time.process_time() - used)
        await store.delete("bench")
    finally:
        await store.close()
    return before, cpu, written


def ms(seconds: list[float]) -> str:
    ordered = sorted(seconds[5:])
    return f"{1000 * statistics.median(ordered):6.1f} {1000 * ordered[int(0.95 * len(ordered))]:6.1f}"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        urls = sys.argv[1:] or ["memory", f"sqlite:///{folder}/bench.sqlite3"]
        print(f"{TURNS} turns of one conversation; ms, median and 95th percentile")
        print(f"{'store':12} {'before':>13} {'CPU of writes':>14} {'written after':>14}")
        for url in urls:
            before, cpu, written = asyncio.run(measure(url))
            print(f"{url.partition(':')[0]:12} {ms(before):>13} {ms(cpu):>14} {ms(written):>14}")


if __name__ == "__main__":
    main()
