"""The tables of docs/scaling.md and docs/startup.md, from what bench.capacity and bench.startup saved."""

from __future__ import annotations

from statistics import median
from typing import Any

SHARING = {"time-slicing": "time slicing", "mps": "MPS"}
NOT_RUN = "Not measured yet: `make bench-capacity` on an idle machine writes this."


def validation(f: dict[str, Any] | None) -> str:
    if f is None:
        return NOT_RUN
    head = (
        "| talkers | turns | p50 measured | simulated | off | p95 measured | simulated | off "
        "| longest queue (simulated) |\n"
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n"
    )
    lines = [
        f"| {row['talkers']} | {row['turns']} | {row['p50_s']:.2f} s | {row['simulated_p50_s']:.2f} s | "
        f"{_off(row['p50_off'], f['bound'])} | {row['p95_s']:.2f} s | {row['simulated_p95_s']:.2f} s | "
        f"{_off(row['p95_off'], f['bound'])} | {_queue(row['waited_s'])} |"
        for row in f["rows"]
    ]
    return f"{head}{chr(10).join(lines)}\n\n![First audio on the CPU stack](scaling-cpu.svg)"


def _queue(waited_s: dict[str, float]) -> str:
    stage, seconds = max(waited_s.items(), key=lambda item: item[1])
    return f"{stage}, {1000 * seconds:.0f} ms"


def _off(value: float, bound: float) -> str:
    shown = f"{100 * value:+.0f} %"
    return shown if abs(value) <= bound else f"**{shown}**"


def service_times(f: dict[str, Any] | None) -> str:
    if f is None:
        return NOT_RUN
    llm = f["llm"]
    rows = [("stt, a second of speech", f["stt"]), ("llm, a new token of the prompt", llm["prefill"])]
    rows.append(("tts, a character", f["tts"]))
    lines = [
        f"| {name} | {1000 * of['fixed_s']:.0f} ms | {1000 * of['each_s']:.1f} ms | {of['threads']:.2f} |"
        for name, of in rows
    ]
    steps = ", ".join(f"{1000 * step:.0f} ms" for step in llm["step_s"])
    head = "| stage and unit | a call | each unit | cores it keeps busy |\n| --- | ---: | ---: | ---: |\n"
    told = (
        f"A token takes {steps} while one, two replies are written. A conversation that lost its slot costs "
        f"{1000 * llm['switch_s']:.0f} ms, an event on its way through Ray {1000 * f['event']['each_s']:.1f} ms of a "
        f"core; {f['capacity']:.2f} cores are left beside the idle server."
    )
    return f"{head}{chr(10).join(lines)}\n\n{told}"


def cards(f: dict[str, Any] | None) -> str:
    """Everything in here is simulated from published figures."""
    if f is None:
        return NOT_RUN
    head = (
        "| card (simulated) | stack | talkers | with two of stt and tts | longest queue | busiest on the card | "
        "$ an hour | $ a conversation-hour | scaled, not published |\n"
        "| --- | --- | ---: | ---: | --- | --- | ---: | ---: | --- |\n"
    )
    return head + "\n".join(_card(row) for row in f["rows"]) + "\n\n![First audio by card](scaling-cards.svg)"


def sharing(f: dict[str, Any] | None) -> str:
    """Learners on one card by the way it is shared; simulated, from what an H200 measured."""
    if f is None or "sharing" not in f:
        return NOT_RUN
    cards_ = list(dict.fromkeys(row["card"] for row in f["sharing"]))
    found: dict[tuple[str, ...], dict[str, int]] = {}
    for row in f["sharing"]:
        way = (row["stack"], SHARING[row["sharing"]], "yes" if row["batched"] else "", str(row["replicas"]))
        found.setdefault(way, {})[row["card"]] = row["talkers"]
    names = " | ".join(f"{name}{', scaled' if number else ''}" for number, name in enumerate(cards_))
    head = f"| stack | the card is shared by | batched voice | of stt and tts | {names} |\n"
    head += f"| --- | --- | --- | ---: |{' ---: |' * len(cards_)}\n"
    lines = [f"| {' | '.join([*way, *(str(talkers[card]) for card in cards_)])} |" for way, talkers in found.items()]
    return head + "\n".join(lines)


def _card(row: dict[str, Any]) -> str:
    busiest, share = max(row["busy"].items(), key=lambda item: item[1])
    cost = row["usd_per_conversation_hour"]
    cells = [
        row["card"],
        row["stack"],
        str(row["talkers"]),
        str(row["talkers_two_replicas"]),
        _queue(row["waited_s"]),
        f"{busiest}, {100 * share:.0f} %",
        f"{row['usd_per_hour']:.2f}",
        "-" if cost is None else f"{cost:.3f}",
        ", ".join(row["estimated"]),
    ]
    return f"| {' | '.join(cells)} |"


def sources(data: dict[str, Any]) -> str:
    """Where each figure of bench/published.toml was read."""
    lines = [f"- {name}: <{anchor['url']}> ({anchor['date']})" for name, anchor in data["anchors"].items()]
    for name, card in data["cards"].items():
        lines.append(
            f"- {name}: {card['bandwidth_gb_s']:g} GB/s, <{card['bandwidth_url']}>; ${card['usd_per_hour']:g} an hour "
            f"({card['price']}, {card['price_date']}), <{card['price_url']}>"
        )
    return "\n".join(lines)


def startup(f: dict[str, Any] | None) -> str:
    if f is None:
        return NOT_RUN
    names = list(f["warm"][0]["split"])
    rows = [(name, *(_median(f[kind], "split", name) for kind in ("warm", "cold"))) for name in names]
    rows.append(("**ready**", *(_median(f[kind], "said", "ready") for kind in ("warm", "cold"))))
    rows += [
        (f"replica {name.removeprefix('parle_')}", *(_median(f[kind], "replicas", name) for kind in ("warm", "cold")))
        for name in sorted(f["warm"][0]["replicas"])
    ]
    head = f"| median of {len(f['warm'])} starts | files in the page cache | not |\n| --- | ---: | ---: |\n"
    body = "\n".join(f"| {name} | {warm:.1f} s | {cold:.1f} s |" for name, warm, cold in rows)
    ready = _median(f["warm"], "said", "ready")
    verdict = "met" if ready <= f["promised_s"] else "**not met**"
    return f"{head}{body}\n\nAim: ready in {f['promised_s']:.0f} s with files in the page cache; {verdict}."


def _median(runs: list[dict[str, Any]], part: str, name: str) -> float:
    return median(run[part][name] for run in runs if name in run[part])


def prefix_cache(measured: dict[str, dict[str, float]]) -> str:
    """How much of a conversation, after the tutor's prompt, is not read again at its fifth turn."""
    head = "| replicas of the LLM | tokens of the conversation | of them cached |\n| --- | ---: | ---: |\n"
    return head + "\n".join(
        f"| {name} | {of['prompt_tokens']:.0f} | {of['cached']:.0%} |" for name, of in measured.items()
    )


def order(measured: dict[str, Any]) -> str:
    """Who waits where at the learners that a card carries, and what it gains to speak the piece first that is due."""
    head = (
        f"| {measured['card']}: stack, sharing | learners | waits for stt, llm, tts (p95) | first audio (p95), as they"
        " come | due first | ratio |\n| --- | ---: | --- | ---: | ---: | ---: |\n"
    )
    lines: list[str] = []
    for row in measured["rows"]:
        way = f"{row['stack']}, {SHARING[row['sharing']]}" + (", batched voice" if row["batched"] else "")
        way += f", {row['replicas']} of stt and tts" if row["replicas"] > 1 else ""
        came, due = row["came"], row["due"]
        waits = ", ".join(f"{1000 * wait:.0f}" for wait in came["waited_p95_s"].values())
        first, sooner = came["first_audio_p95_s"], due["first_audio_p95_s"]
        cells = (way, str(row["talkers"]), f"{waits} ms", f"{first:.2f} s", f"{sooner:.2f} s", f"{sooner / first:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return head + "\n".join(lines)
