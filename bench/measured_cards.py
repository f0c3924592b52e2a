"""Service times of a card that was measured (bench/measured_*.toml), and of others by scaling: the rest is simulated.

Scaled for a card of another bandwidth is only what depends on it: steps and prompts of the LLM. Speech to text and
speech are mostly Python that launches small kernels (84 % of a call of Whisper's), so they keep their time, though a
small card may well take longer. What engines do to each other is taken over as it is.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .cards import BATCH_TOKENS, LIMIT_S, MAX_REPLIES, MOST, p95, published
from .service_times import Llm, Reply, ServiceTimes, Stage
from .simulation import simulate

FILE = Path(__file__).parent / "measured_h200.toml"
STT_BATCH = 8
"""Recordings in one call at most: `max_batch` of configs/*.yaml."""

Sharing = Literal["time-slicing", "mps"]
WAYS: Sequence[tuple[str, Sharing, bool, int]] = (
    ("modal", "time-slicing", False, 1),
    ("modal", "mps", False, 1),
    ("modal", "mps", True, 1),
    ("modal", "mps", True, 2),
    ("local", "time-slicing", False, 1),
    ("local", "mps", False, 1),
    ("local", "mps", False, 3),
)
"""Stack, sharing, whether the voice is batched, replicas of stt and tts."""


def measured(file: Path = FILE) -> dict[str, Any]:
    return tomllib.loads(file.read_text("utf-8"))


def times_of(
    data: dict[str, Any],
    stack: str,
    sharing: Sharing,
    replies: list[Reply],
    speech_s: float,
    *,
    batched: bool = False,
    bandwidth_gb_s: float | None = None,
) -> ServiceTimes:
    """`speech_s` is of a character; `batched`: a voice that speaks for several at once; no bandwidth: this card."""
    names = data["stacks"][stack]
    stt, llm, tts = (data[stage][names[stage]] for stage in ("stt", "llm", "tts"))
    slower = data["bandwidth_gb_s"] / (bandwidth_gb_s or data["bandwidth_gb_s"])
    streams = "first_s" in tts
    return ServiceTimes(
        name=f"{data['card']}, {stack} stack, {sharing}",
        capacity=math.inf,
        stt=Stage(fixed_s=stt["fixed_s"], each_s=stt["each_s"]),
        stt_batch=_between([1, STT_BATCH], [1.0, stt["batch_of_eight"]]),
        llm=Llm(
            slots=MAX_REPLIES,
            batch_tokens=BATCH_TOKENS,
            prefill=Stage(each_s=slower * llm["prompt_token_s"]),
            step_s=[slower * step for step in _between(llm["replies"], llm["step_s"])],
        ),
        tts=Stage(fixed_s=tts["first_s"], each_s=tts["speech_s_each_s"] * speech_s)
        if streams
        else Stage(fixed_s=tts["call_s"], each_s=0.0),
        tts_first_s=tts["first_s"] if streams else None,
        tts_together=_batched_voice(data["batched"][names["tts"]]) if batched else [1.0],
        speech_s_per_character=speech_s,
        slowdown=data["slowdown"][sharing][stack],
        replies=replies,
    )


def sharing_rows(replies: list[Reply], speech_s: float) -> list[dict[str, Any]]:
    """Most learners at once with a p95 of first audio under a second, by card, stack and way of sharing the card."""
    data, bandwidths, rows = measured(), published()["cards"], []
    for card in (data["card"], *data["scaled_to"]):
        bandwidth = data["bandwidth_gb_s"] if card == data["card"] else bandwidths[card]["bandwidth_gb_s"]
        for stack, sharing, batched, replicas in WAYS:
            times = times_of(data, stack, sharing, replies, speech_s, batched=batched, bandwidth_gb_s=float(bandwidth))
            most = most_talkers(times, replicas)
            row = {"card": card, "stack": stack, "sharing": sharing, "batched": batched, "replicas": replicas}
            rows.append({**row, "talkers": most, "scaled": card != data["card"]})
            print(f"{card}, {stack}, {sharing}, batched {batched}, {replicas} of stt and tts: {most}", flush=True)
    return rows


def most_talkers(times: ServiceTimes, replicas: int, seconds: float = 150) -> int:
    """By bisection, as p95 grows with the learners but for chance."""

    def holds(talkers: int) -> bool:
        return p95(simulate(times, talkers, seconds=seconds, replicas=replicas)) <= LIMIT_S

    low, high = 0, 4
    while high < MOST and holds(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _batched_voice(published: dict[str, Any]) -> list[float]:
    alone = published["audio_per_s"][0]
    times = [n * alone / rate for n, rate in zip(published["at_once"], published["audio_per_s"], strict=True)]
    return _between(published["at_once"], times)


def _between(at: Sequence[int], values: Sequence[float]) -> list[float]:
    """The values for 1, 2 ... up to the last of `at`, straight lines between those that are known."""
    return [float(value) for value in np.interp(range(1, at[-1] + 1), at, values)]
