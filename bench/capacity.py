"""How many learners one machine serves: measured service times, a simulation, and how far it is from the real server.

python -m bench.capacity measure --save bench/service_times.json     about five minutes, machine idle
python -m bench.capacity validate --save bench/capacity.json         about twelve minutes, machine idle
python -m bench.capacity cards --save bench/cards.json               a few minutes, one core
python -m bench.capacity plot                                        docs/scaling-*.svg
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .server import Heard
from .service_times import MEASURED, ServiceTimes

ROOT = Path(__file__).parent.parent
TALKERS = (1, 2, 4, 8)
EACH_S = 150.0
"""Per number of talkers: from about a dozen turns of one talker to some fifty of eight."""


def measured() -> ServiceTimes:
    if not MEASURED.exists():
        raise SystemExit(f"{MEASURED} is missing: run `python -m bench.capacity measure --save {MEASURED}` first.")
    return ServiceTimes.model_validate_json(MEASURED.read_text("utf-8"))


def measure() -> dict[str, Any]:
    from .measuring import measure
    from .recordings import recordings

    times = measure(recordings())
    print(times.model_dump_json(indent=1, exclude={"replies"}))
    return times.model_dump()


def raw_turn(which: int, heard: Heard) -> dict[str, Any]:
    return {
        "recording": which,
        "deltas": heard.deltas,
        "first_token_s": heard.llm_first_token_s,
        "first_audio_s": heard.first_audio_s,
        "total_s": heard.total_s,
        "pieces": heard.pieces,
        "timing": heard.timing,
    }


def validate() -> dict[str, Any]:
    from .recordings import recordings
    from .server import serving, turn
    from .talkers import BOUND, compared, served
    from .turns import GREEDY

    times, audio, rows, raw = measured(), recordings(), [], {}
    with serving({"TutorLLM": GREEDY}) as server:
        turn(server.url, audio[0], "warm")
        for talkers in TALKERS:
            turns = served(server.url, audio, talkers, EACH_S)
            raw[str(talkers)] = [raw_turn(which, heard) for which, heard in turns]
            row = compared(times, talkers, turns)
            rows.append(row)
            within = max(abs(row["p50_off"]), abs(row["p95_off"])) <= BOUND
            print(
                f"{talkers} talkers, {len(turns)} turns: "
                f"p50 {row['p50_s']:.2f} s, simulated {row['simulated_p50_s']:.2f} ({100 * row['p50_off']:+.0f} %); "
                f"p95 {row['p95_s']:.2f} s, simulated {row['simulated_p95_s']:.2f} ({100 * row['p95_off']:+.0f} %)"
                f"{'' if within else '  NOT within 20 %'}",
                flush=True,
            )
    return {"bound": BOUND, "rows": rows, "turns": raw}


def cards() -> dict[str, Any]:
    from . import cards, measured_cards

    data, times, rows = cards.published(), measured(), []
    for card, facts in data["cards"].items():
        for stack in facts["stacks"]:
            of = cards.times_of(data, card, stack, times.replies, times.speech_s_per_character)
            one, two = cards.capacity(of), cards.capacity(of, replicas=2)
            usd = facts["usd_per_hour"]
            cost = usd / one["talkers"] if one["talkers"] else None
            row = {"card": card, "stack": stack, **one, "talkers_two_replicas": two["talkers"], "usd_per_hour": usd}
            rows.append({**row, "usd_per_conversation_hour": cost, "estimated": cards.estimated(data, card, stack)})
            print(f"{card}, {stack}: {one['talkers']} talkers ({two['talkers']} with two of stt and tts)", flush=True)
    sharing = measured_cards.sharing_rows(times.replies, times.speech_s_per_character)
    return {"simulated_from": "bench/published.toml", "rows": rows, "sharing": sharing}


def plot() -> None:
    from . import plots

    plots.write(ROOT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["measure", "validate", "cards", "plot"])
    parser.add_argument("--save", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.what == "plot":
        plot()
        return
    result = {"measure": measure, "validate": validate, "cards": cards}[arguments.what]()
    if arguments.save:
        arguments.save.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
