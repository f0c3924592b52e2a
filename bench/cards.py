"""Service times of a card from published figures (bench/published.toml): simulated, never measured.

The rule where nothing is published for a card: time scales with the inverse of memory
bandwidth, and of the LLM with the bytes of its weights too. Speech is one stream of small kernels and its published
figures do not follow bandwidth (an H100 is slower than an RTX 4090): none counts as faster than the best published.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from .service_times import Llm, Reply, ServiceTimes, Stage
from .simulation import World, simulate

PUBLISHED = Path(__file__).parent / "published.toml"
MAX_REPLIES = 16
"""Replies at once; configs/*.yaml may say less."""
BATCH_TOKENS = 2048
"""vLLM reads a whole prompt of ours in one step."""
LIMIT_S = 1.0
"""p95 of first audio that a learner should not wait beyond."""
MOST = 200


def published() -> dict[str, Any]:
    return tomllib.loads(PUBLISHED.read_text("utf-8"))


def times_of(data: dict[str, Any], card: str, stack: str, replies: list[Reply], speech_s: float) -> ServiceTimes:
    """`speech_s` is of a character."""
    anchors = data["anchors"]
    return ServiceTimes(
        name=f"{card}, {stack} stack",
        capacity=1.0,
        stt=Stage(fixed_s=anchors["stt"]["seconds"] * _slower(data, anchors["stt"]["card"], card), each_s=0.0),
        llm=_llm(data, card, data["stacks"][stack]["weights_gb"]),
        **_tts(data, card, data["stacks"][stack]["tts"], speech_s),
        speech_s_per_character=speech_s,
        replies=replies,
    )


def _slower(data: dict[str, Any], than: str, card: str) -> float:
    return data["cards"][than]["bandwidth_gb_s"] / data["cards"][card]["bandwidth_gb_s"]


def _llm(data: dict[str, Any], card: str, weights_gb: float) -> Llm:
    """A step is a line through the published batches: n replies at once at r tokens/s take n / r."""
    anchor = data["anchors"]["llm"]
    at = anchor["concurrency"]
    steps = [n / rate for n, rate in zip(at, anchor["tokens_per_s"], strict=True)]
    growth, base = (float(value) for value in np.polyfit(at, steps, 1))
    scale = _slower(data, anchor["card"], card) * weights_gb / anchor["weights_gb"]
    first = max(0.0, anchor["median_first_token_s"] - base - growth * at[0])
    prefill = Stage(each_s=scale * first / anchor["prompt_tokens"])
    step_s = [scale * (base + growth * n) for n in (1, 2)]
    return Llm(slots=MAX_REPLIES, batch_tokens=BATCH_TOKENS, prefill=prefill, step_s=step_s)


def _tts(data: dict[str, Any], card: str, engine: str, speech_s: float) -> dict[str, Any]:
    anchor = data["anchors"][engine]
    if engine == "kokoro":
        return {"tts": Stage(each_s=speech_s / anchor["speed"])}
    if card in anchor:
        speed, first_s = anchor[card]["speed"], anchor[card]["first_s"]
    else:
        slower = max(1.0, _slower(data, "RTX 4090", card))
        speed, first_s = anchor["RTX 4090"]["speed"] / slower, anchor["RTX 4090"]["first_s"] * slower
    return {"tts": Stage(fixed_s=first_s / 2, each_s=speech_s / speed), "tts_first_s": first_s}


def estimated(data: dict[str, Any], card: str, stack: str) -> list[str]:
    """The stages whose times were scaled and not published for this card."""
    anchors, engine = data["anchors"], data["stacks"][stack]["tts"]
    return [
        *(["stt"] if card != anchors["stt"]["card"] else []),
        "llm",  # another model than the published one, on every card
        *(["tts"] if engine == "kokoro" or card not in anchors[engine] else []),
    ]


def p95(world: World, warm_s: float = 60.0) -> float:
    return float(np.percentile([turn.first_audio_s for turn in world.turns if turn.began > warm_s], 95))


def capacity(times: ServiceTimes, *, seconds: float = 900, replicas: int = 1) -> dict[str, Any]:
    """Most talkers with p95 of first audio under a second, and what the card does one talker beyond."""
    curve: list[tuple[int, float]] = []
    best = 0
    while True:
        talkers = len(curve) + 1
        world = simulate(times, talkers, seconds=seconds, replicas=replicas)
        curve.append((talkers, p95(world)))
        if curve[-1][1] > LIMIT_S or talkers == MOST:
            break
        best = talkers
    waits = {
        stage: float(np.mean([turn.waited_s.get(stage, 0.0) for turn in world.turns]))
        for stage in ("stt", "llm", "tts")
    }
    busy = {stage: held / seconds for stage, held in world.shared.busy_s.items()}
    return {"talkers": best, "curve": curve, "waited_s": waits, "busy": busy}
