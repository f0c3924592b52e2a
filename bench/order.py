"""What the order at the stages is worth, simulated from a card's measured times: who waits where, and pieces due first.

For each way of sharing the H100 (bench/measured_h200.toml), at the learners that it carries: waiting for each stage
in the 95th percentile, first audio and silence between pieces, with pieces of speech as they come and as they are due
(serve_app.replicas.due_first). Where nobody waits, an order gains nothing.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from . import measured_cards
from .cards import p95
from .service_times import ServiceTimes
from .simulation import World, simulate

SERVICE_TIMES = Path(__file__).with_name("service_times.json")
SIMULATED_S = 600.0
STAGES = ("stt", "llm", "tts")


def figures(world: World) -> dict[str, Any]:
    waits = {stage: [turn.waited_s.get(stage, 0.0) for turn in world.turns] for stage in STAGES}
    return {
        "first_audio_p95_s": p95(world),
        "silence_s": float(np.mean([turn.gap_s for turn in world.turns])),
        "waited_p95_s": {stage: float(np.percentile(waited, 95)) for stage, waited in waits.items()},
    }


def rows() -> list[dict[str, Any]]:
    served = ServiceTimes.model_validate_json(SERVICE_TIMES.read_text("utf-8"))
    data, found = measured_cards.measured(), []
    for stack, sharing, batched, replicas in measured_cards.WAYS:
        times = measured_cards.times_of(
            data, stack, sharing, served.replies, served.speech_s_per_character, batched=batched
        )
        talkers = measured_cards.most_talkers(times, replicas)
        way = {"stack": stack, "sharing": sharing, "batched": batched, "replicas": replicas, "talkers": talkers}
        orders = {
            name: figures(simulate(times, talkers, seconds=SIMULATED_S, replicas=replicas, by_due=name == "due"))
            for name in ("came", "due")
        }
        found.append({**way, **orders})
        came, due = (orders[name]["first_audio_p95_s"] for name in ("came", "due"))
        print(f"{stack}, {sharing}, {talkers} learners: p95 of first audio {came:.2f} s, pieces due first {due:.2f} s")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures as JSON")
    arguments = parser.parse_args()
    measured = {"card": measured_cards.measured()["card"], "rows": rows()}
    if arguments.save:
        arguments.save.write_text(json.dumps(measured, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
