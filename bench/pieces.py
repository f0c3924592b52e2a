"""What it gains that pieces of speech are made in the order in which they are due: four talkers, the CPU stack.

With `--simulate` the simulation says it first. Blocks of either order take turns in one run: as they came (`pieces:
arrival`), and as they are due. Once with the stack as it ships, once with a tutor whose model writes the whole reply.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from serve_app.launch import child_process

from .recordings import recordings
from .server import STACK, STOP_S, Heard, turn
from .service_times import MEASURED, ServiceTimes
from .simulation import simulate
from .talkers import quantiles, served
from .turns import MODEL_ONLY

TALKERS = 4
BLOCK_S = 40.0
BLOCKS = 2
ORDERS = ("arrival", "due")
TUTORS: dict[str, dict[str, Any]] = {"shipped": {"follow_ups": True}, "model_only": MODEL_ONLY}


def written(stack: dict[str, Any], path: Path, *, tutor: str, order: str) -> Path:
    for deployment in stack["applications"][0]["deployments"]:
        if deployment["name"] == "TextToSpeech":
            deployment["user_config"]["pieces"] = order
        if deployment["name"] == "Ingress":
            deployment["user_config"]["teaching"] = TUTORS[tutor]
    path.write_text(yaml.safe_dump(stack, allow_unicode=True), "utf-8")
    return path


def change(path: Path, dashboard: str) -> None:
    """The running server to this file, in place."""
    subprocess.run(
        [Path(sys.executable).with_name("parle"), "deploy", path, "-a", dashboard], check=True, capture_output=True
    )


def figures_of(turns: list[Heard]) -> dict[str, float]:
    p50, p95 = quantiles([heard.first_audio_s for heard in turns])
    gaps = [heard.gap_s() for heard in turns]
    return {"turns": len(turns), "p50_s": p50, "p95_s": p95, "gap_mean_s": float(np.mean(gaps))}


def simulated() -> None:
    """An hour of talkers in either order; the model writes the whole reply, and no opening is kept."""
    times = ServiceTimes.model_validate_json(MEASURED.read_text("utf-8"))
    for talkers in (2, TALKERS, 8):
        for order in ORDERS:
            turns = simulate(times, talkers, seconds=3600, by_due=order == "due").turns
            p50, p95 = quantiles([one.first_audio_s for one in turns])
            gap = np.mean([one.gap_s for one in turns])
            print(f"{talkers} talkers, {order:8} p50 {p50:6.2f}  p95 {p95:6.2f}  silence a turn {gap:5.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--simulate", action="store_true", help="only what the simulation says")
    arguments = parser.parse_args()
    if arguments.simulate:
        simulated()
    else:
        measured(arguments.save)


def measured(save: Path | None) -> None:
    audio = recordings(12)
    stack = yaml.safe_load(STACK.read_text("utf-8"))
    found: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder, "stack.yaml"), Path(folder, "log")
        written(stack, path, tutor="shipped", order="due")
        with child_process.serving(path, log, stop_s=STOP_S) as (_, url):
            told = re.search(r"parle deploy \S+ -a (\S+)", log.read_text("utf-8"))
            assert told is not None
            for tutor in TUTORS:
                turns: dict[str, list[Heard]] = {order: [] for order in ORDERS}
                for order in ORDERS * BLOCKS:
                    change(written(stack, path, tutor=tutor, order=order), told[1])
                    turn(url, audio[0], "between")
                    turns[order] += [heard for _, heard in served(url, audio, TALKERS, BLOCK_S)]
                found[tutor] = {order: figures_of(of_order) for order, of_order in turns.items()}
                arrival, due = (found[tutor][order] for order in ORDERS)
                print(tutor, found[tutor], f"p95 ratio {due['p95_s'] / arrival['p95_s']:.2f}")
    if save:
        save.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
