"""Write the figures of bench/*.json into README.md and docs/*.md, between their markers."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # run as a script: from the root, so that scripts.* is found
from bench import soak_table
from bench.promised import PROMISED
from scripts import scaling_tables

ROOT = Path(__file__).parent.parent


def figures(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "bench" / name).read_text("utf-8"))


def saved(name: str) -> dict[str, Any] | None:
    """None where that was not run yet."""
    return figures(name) if (ROOT / "bench" / name).exists() else None


def scaling() -> dict[tuple[str, str], str]:
    """What stands between the markers of docs/scaling.md and docs/startup.md."""
    published = tomllib.loads((ROOT / "bench/published.toml").read_text("utf-8"))
    return {
        ("docs/scaling.md", "service-times"): scaling_tables.service_times(saved("service_times.json")),
        ("docs/scaling.md", "validation"): scaling_tables.validation(saved("capacity.json")),
        ("docs/scaling.md", "cards"): scaling_tables.cards(saved("cards.json")),
        ("docs/scaling.md", "sharing"): scaling_tables.sharing(saved("cards.json")),
        ("docs/scaling.md", "sources"): scaling_tables.sources(published),
        ("docs/scaling.md", "order"): scaling_tables.order(figures("order.json")),
        ("docs/scaling.md", "prefix-cache"): scaling_tables.prefix_cache(figures("prefix_cache.json")),
        ("docs/startup.md", "startup"): scaling_tables.startup(saved("startup.json")),
    }


def latency() -> dict[tuple[str, str], str]:
    """What stands between the markers of README.md, docs/performance.md and docs/transport.md."""
    measured = figures("results.json")["figures"]
    return {
        ("README.md", "bench"): key_figures(measured),
        ("docs/performance.md", "bench"): turns(measured),
        ("docs/performance.md", "hands-free"): hands_free(figures("hands_free.json")["figures"]),
        ("docs/performance.md", "batching"): batching(figures("batching.json")),
        ("docs/transport.md", "figures"): transport(figures("transport.json")),
    }


def soak() -> dict[tuple[str, str], str]:
    """What stands between the markers of docs/reliability.md; nothing where that was not run yet."""
    measured = saved("soak.json")
    return {("docs/reliability.md", "soak"): soak_table.table(measured)} if measured else {}


def turn_taking() -> dict[tuple[str, str], str]:
    """What stands between the markers of docs/turn-taking.md; nothing where that was not run yet."""
    measured = saved("turn_taking.json")
    if measured is None:
        return {}
    head = (
        "| way | cut off, of the utterances with pauses | of the pauses | of all utterances "
        "| wait after one said in one go, median | 95th percentile |\n| --- | --- | --- | --- | --- | --- |\n"
    )
    rows = [
        f"| {name} | {100 * of['cut_off_utterances']:.1f} % | {100 * of['cut_off_pauses']:.1f} % "
        f"| {100 * of['cut_off_of_all']:.1f} % "
        f"| {1000 * of['wait_median_s']:.0f} ms | {1000 * of['wait_p95_s']:.0f} ms |"
        for name, of in measured["ways"].items()
    ]
    about = (
        f"{measured['utterances']} utterances nothing was tuned on, {measured['hesitant']} of them with "
        f"{measured['pauses']} pauses inside; the others are said in one go.\n\n"
    )
    missed = [
        name
        for name, of in measured["ways"].items()
        if name.endswith("stack") and (of["cut_off_utterances"] > 0.05 or of["wait_median_s"] > 0.4)
    ]
    aim = "\n\nThe aim is at most 5 % of the utterances with pauses cut off, at a median wait of at most 400 ms"
    aim += f": **not met** by {' and '.join(missed)}." if missed else ": met."
    costs = (
        f"\n\nOne frame of 32 ms costs {measured['costs']['frame_ms']:.2f} ms of one core; Smart Turn "
        f"{measured['costs']['sound_ms']:.0f} ms an answer, in a thread of its own and only in a pause."
    )
    return {("docs/turn-taking.md", "figures"): about + head + "\n".join(rows) + aim + costs}


def aim(f: dict[str, float], name: str) -> str:
    """The promised bound of a figure, and whether it is missed."""
    return f"{PROMISED[name]:g}{'' if f[name] <= PROMISED[name] else '; **not met**'}"


def turns(f: dict[str, float]) -> str:
    """The table of docs/performance.md."""
    ray = (
        f"{100 * f['ray_overhead_share']:.1f} %, {f['ray_overhead_ms']:.0f} ms "
        f"(95 %: {f['ray_overhead_low_ms']:.0f} to {f['ray_overhead_high_ms']:.0f})"
    )
    ray_met = all(f[name] <= PROMISED[name] for name in ("ray_overhead_share", "ray_overhead_ms"))
    rows = [
        ("first sound of the answer after the last word, median", f"{f['first_audio_s']:.1f} s"),
        *([("the sound after the opening", f"{f['written_s']:.1f} s")] if "written_s" in f else []),
        ("the same models one after the other, in a script", f"{f['one_after_the_other_s']:.1f} s"),
        (
            f"first sound against the script's, turn by turn (aim: at most {aim(f, 'first_audio_ratio')})",
            f"**{f['first_audio_ratio']:.2f}**",
        ),
        *(against_pipecat(f) if "pipecat_first_audio_s" in f else []),
        (
            f"silence between the pieces of one answer, median a turn (aim: at most {aim(f, 'gap_s')} s)",
            f"{f['gap_s']:.1f} s",
        ),
        (
            f"first token of turn 20 against turn 3 (aim: at most {aim(f, 'first_token_ratio')})",
            f"{f['first_token_ratio']:.2f}",
        ),
        (
            "what Ray and HTTP add to a turn, against the same engines in one process "
            f"(aim: at most 8 % and 60 ms{'' if ray_met else '; **not met**'})",
            ray,
        ),
        (f"ready after `parle serve` (aim: {aim(f, 'ready_s')} s)", f"{f['ready_s']:.0f} s"),
        (f"memory of the whole process tree (aim: {aim(f, 'memory_gb')} GB)", f"{f['memory_gb']:.1f} GB"),
    ]
    return table(rows)


def against_pipecat(f: dict[str, float]) -> list[tuple[str, str]]:
    return [
        ("pipecat 1.14 on the same models", f"{f['pipecat_first_audio_s']:.1f} s"),
        (
            f"first sound against pipecat's, turn by turn (aim: at most {aim(f, 'first_audio_to_pipecat')})",
            f"**{f['first_audio_to_pipecat']:.2f}**",
        ),
        (
            f"the sound after the opening, against pipecat's first (aim: at most {aim(f, 'written_to_pipecat')})",
            f"{f['written_to_pipecat']:.2f}",
        ),
    ]


def key_figures(f: dict[str, float]) -> str:
    """The figures of the README."""
    pipecat = f"; pipecat on them: {f['pipecat_first_audio_s']:.1f} s" if "pipecat_first_audio_s" in f else ""
    rows = [
        (
            "first sound of the answer after the last word, median",
            f"{f['first_audio_s']:.1f} s; the same models one after the other: "
            f"{f['one_after_the_other_s']:.1f} s{pipecat}",
        ),
        ("ready after `parle serve`", f"{f['ready_s']:.0f} s, with {f['memory_gb']:.1f} GB of memory"),
    ]
    return table(rows)


def hands_free(f: dict[str, float]) -> str:
    names = {"server_vad": "hands free, a silence of 500 ms", "semantic_vad": "hands free, sound and words decide"}
    rows = [("a recording, sent whole", "", "", f"{f['recording_s']:.2f} s", "1")]
    for mode, name in names.items():
        decided, after, first = (f[f"{mode}_{what}"] for what in ("decided_s", "after_decision_s", "s"))
        rows.append((name, f"{decided:.2f} s", f"{after:.2f} s", f"{first:.2f} s", f"{f[f'{mode}_ratio']:.2f}"))
    head = (
        "| medians, since the end of the voice or of the upload | the turn is over | from there to the first sound "
        "| first sound | of a recording's |\n| --- | ---: | ---: | ---: | ---: |\n"
    )
    return head + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def batching(f: dict[str, dict[str, float]]) -> str:
    names = {"stt": "Whisper base, transformers", "cefr": "a classifier of mDeBERTa-base's size"}
    rows = [
        (names[stage], f"{of['one_at_a_time_s']:.2f} s", f"{of['together_s']:.2f} s", f"{of['ratio']:.2f}")
        for stage, of in f.items()
    ]
    head = (
        "| eight learners at once, on two CPU cores | one at a time | together | ratio |\n| --- | --- | --- | --- |\n"
    )
    return head + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def transport(f: dict[str, dict[str, float]]) -> str:
    names = {
        "http_ms": ("one HTTP round trip, median", "ms"),
        "http_p95_ms": ("the same, 95th percentile", "ms"),
        "websocket_ms": ("one WebSocket round trip, median", "ms"),
        "websocket_p95_ms": ("the same, 95th percentile", "ms"),
        "first_audio_ms": ("first audio of a turn, median", "ms"),
        "ready_s": ("ready after `parle serve`", "s"),
        "stop_s": ("stopped after Ctrl-C", "s"),
    }
    head = "| CPU stack, two cores, one run | Ray's proxy | HAProxy | ratio |\n| --- | --- | --- | --- |\n"
    lines = []
    for key, (name, unit) in names.items():
        ray, haproxy = f["ray"][key], f["haproxy"][key]
        digits = 0 if ray > 100 else 1
        lines.append(f"| {name} | {ray:.{digits}f} {unit} | {haproxy:.{digits}f} {unit} | {haproxy / ray:.2f} |")
    return head + "\n".join(lines)


def table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def write(file: str, marker: str, text: str) -> None:
    path = ROOT / file
    pattern = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.DOTALL)
    before = path.read_text("utf-8")
    assert pattern.search(before), f"{file} has no place for {marker}"
    path.write_text(pattern.sub(lambda found: f"{found[1]}{text}\n{found[2]}", before), "utf-8")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["scaling"]:  # only what bench.capacity and bench.startup measure
            tables = scaling()
        case ["soak"]:
            tables = soak()
        case ["turn_taking"]:
            tables = turn_taking()
        case _:
            tables = scaling() | soak() | turn_taking() | latency()
    for (file, marker), text in tables.items():
        write(file, marker, text)
