"""Throws damaged recordings, odd forms and odd messages at a server, and looks for answers that must not be.

    python -m bench.fuzz                          # over stages without models: no Ray, 20 minutes
    python -m bench.fuzz --server --minutes 60    # `parle serve configs/cpu_stack.yaml`, an hour
    python -m bench.fuzz --only recordings --files 100 --seed 7

Wrong is: an answer 500 or none within a minute, an error `internal`, a traceback in the log, a place for a turn that is
never free again. The first wrong answers are printed with what was sent, and the exit code is 1. The same seed sends
the same; what a stage does not get done in its share of the minutes is left out, and said so.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx

from serve_app.launch import child_process
from serve_app.package_data import data_file

from . import fuzz_realtime, fuzz_requests
from .damaged import damaged
from .fuzz_requests import ANSWER_S, Wrong, over_sse, over_websocket

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests"))

from support.containers import FORMATS, recording  # noqa: E402 - tests/ is on the path only now
from support.site_without_ray import site_of  # noqa: E402

AT_A_TIME = 4
"""Recordings on their way; with fewer than `limits.max_turns` none is refused as busy."""
SHOWN = 10
WAYS = ("forms", "schema", "messages", "realtime", "recordings")
"""The last one takes the time that the others leave."""


@dataclass
class Run:
    """What was sent, and what came of it."""

    url: str
    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, what: str, ask: Callable[[], str]) -> None:
        """Ask, and count the outcome, or note that it is wrong."""
        try:
            self.counts[ask()] += 1
        except Wrong as error:
            self.wrong.append(f"{what}: {error}")


def recordings(run: Run, files: int, until: float) -> None:
    """So many damaged files of each container in turn, three of four over HTTP, the others over the WebSocket."""

    def one(name: str, number: int) -> None:
        sent = damaged(recording(name), Random(f"{run.seed} {name} {number}"))
        ask = over_websocket if number % 4 == 3 else over_sse
        run.add(f"{name} {number}", lambda: ask(run.url, sent))

    done = 0
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        while done < files and time.monotonic() < until:
            list(pool.map(one, FORMATS, [done] * len(FORMATS)))
            done += 1
    print(f"  {done} files of each of {len(FORMATS)} containers sent; for {files - done} there was no time")


def at_rest(run: Run) -> None:
    """Every place is free again, and a right recording is answered.

    Raises:
        Wrong: it is not so within a minute.
    """
    end = time.monotonic() + ANSWER_S
    while (activity := httpx.get(f"{run.url}/api/info", timeout=ANSWER_S).json()["activity"])["turns"]:
        if time.monotonic() > end:
            raise Wrong(f"turns are left that nobody waits for: {activity}")
        time.sleep(0.2)
    greeting = data_file("greeting.ogg").read_bytes()
    for _ in range(2 * AT_A_TIME):
        if (outcome := over_sse(run.url, greeting)) != "200 complete":
            raise Wrong(f"a right recording was answered with {outcome}")


@contextmanager
def quick_site() -> Iterator[tuple[str, Callable[[], str]]]:
    """The routes over stages without models: their address, and what was logged as an error."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    logging.getLogger().addHandler(Keep(logging.ERROR))
    with site_of() as site:
        yield site.url, lambda: "\n".join(lines)


@contextmanager
def real_server() -> Iterator[tuple[str, Callable[[], str]]]:
    """`parle serve` of the CPU stack: its address, and what it has written."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.log"
        with child_process.serving(ROOT / "configs/cpu_stack.yaml", log, "--verbose") as (_, url):
            yield url, lambda: log.read_text("utf-8", "replace")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", action="store_true", help="a real server with models")
    parser.add_argument("--files", type=int, default=1000, help="damaged files of each container")
    parser.add_argument("--examples", type=int, default=1000, help="forms, calls of each route, messages")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=WAYS, action="append")
    options = parser.parse_args()
    ways = options.only or WAYS
    with (real_server if options.server else quick_site)() as (url, log):
        run = Run(url, options.seed)
        over = time.monotonic() + 60 * options.minutes
        for number, way in enumerate(ways):
            now = time.monotonic()
            until = now + max(0.0, over - now) / (len(ways) - number)
            print(f"{way}:", flush=True)
            if way == "recordings":
                recordings(run, options.files, until)
            else:
                sent = (fuzz_realtime.realtime if way == "realtime" else getattr(fuzz_requests, way))(
                    run.add, url, options.examples, options.seed, until
                )
                print(f"  {sent} sent")
            run.add(f"after {way}", lambda: (at_rest(run), "at rest")[1])
        logged = log()
    for outcome, count in sorted(run.counts.items()):
        print(f"{count:7} {outcome}")
    if "Traceback" in logged:
        run.wrong.append(f"a traceback in the log: {logged[logged.index('Traceback') :][:2000]}")
    for wrong in run.wrong[:SHOWN]:
        print(f"WRONG {wrong}")
    print(f"{sum(run.counts.values())} right answers, {len(run.wrong)} wrong")
    return 1 if run.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
