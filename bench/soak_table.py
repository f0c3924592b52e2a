"""What a soak found, as JSON and as the table of docs/reliability.md."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .soak_levels import survivors
from .soak_run import Soak
from .talkers import quantiles

LEVELS = ("descriptors", "threads", "resident_mb")


def figures(soak: Soak) -> dict[str, Any]:
    """What is printed and saved."""
    struck = soak.striker.struck if soak.striker else []
    by_kind: dict[str, list[float]] = {}
    for one in soak.after_faults:
        if one.seconds != float("inf"):
            fault = struck[one.fault].fault
            by_kind.setdefault(f"{fault.target} {'killed' if fault.stop_s is None else 'stopped'}", []).append(
                one.seconds
            )
    every = [seconds for of_kind in by_kind.values() for seconds in of_kind]
    return {
        "turns": dict(Counter(turn.outcome for turn in soak.turns).most_common()),
        "loaded_turn_s": round(soak.loaded_s, 1),
        "load": [round(load, 1) for load in quantiles([load for _, load in soak.loads])] if soak.loads else [],
        "faults": [
            {"at_s": round(one.at, 1), "kind": one.fault.kind, "how": one.how, "over_s": round(one.over, 1)}
            for one in struck
        ],
        "not_struck": [one.kind for one in soak.striker.missed] if soak.striker else [],
        "next_turn_s": {
            kind: [round(value, 1) for value in (*quantiles(seconds), max(seconds))]
            for kind, seconds in (*sorted(by_kind.items()), *([("all", every)] if every else []))
        },
        "at_rest": [
            {"process": was.name, "pid": pid}
            | {what: [round(getattr(was, what)), round(getattr(now, what))] for what in LEVELS}
            for pid, was, now in survivors(soak.before, soak.after)
        ],
        "temporary_files": [len(soak.files_before), len(soak.files_after)],
        "wrong": soak.wrong,
    }


def table(shown: dict[str, Any]) -> str:
    """The same for people, as Markdown."""
    lines = ["| turns | |", "| --- | ---: |"]
    lines += [f"| {outcome} | {count} |" for outcome, count in shown["turns"].items()]
    lines += ["", f"Longest turn without faults: {shown['loaded_turn_s']} s."]
    if shown["load"]:
        lines[-1] += " The machine's load average was {} in the median, {} at the 95th percentile.".format(
            *shown["load"]
        )
    lines.append("")
    lines += ["| next turn after | faults | p50 s | p95 s | longest s |", "| --- | ---: | ---: | ---: | ---: |"]
    counts = Counter(one["kind"] for one in shown["faults"])
    counts["all"] = len(shown["faults"])
    lines += [
        f"| {kind} | {counts[kind]} | {p50} | {p95} | {longest} |"
        for kind, (p50, p95, longest) in shown["next_turn_s"].items()
    ]
    lines += ["", "| at rest, before and after | descriptors | threads | MB |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {one['process']} | " + " | ".join("{}, {}".format(*one[what]) for what in LEVELS) + " |"
        for one in shown["at_rest"]
    ]
    return "\n".join([*lines, "", "Temporary files before and after: {}, {}.".format(*shown["temporary_files"])])
