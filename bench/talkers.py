"""Talkers against a real server, as the simulation has them: speak, listen to the end, think, speak again."""

from __future__ import annotations

import io
import time
import uuid
import wave
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .server import Heard, turn
from .service_times import Reply, ServiceTimes
from .simulation import THINK_S, simulate

BOUND = 0.2
"""How far p50 and p95 of first audio may be off."""


def seconds(recording: bytes) -> float:
    with wave.open(io.BytesIO(recording)) as opened:
        return opened.getnframes() / opened.getframerate()


def talk(
    url: str, recordings: Sequence[bytes], number: int, talkers: int, until: float, key: str | None = None
) -> list[tuple[int, Heard]]:
    """One talker's turns, each with the number of its recording, until the time is over."""
    session, turns = uuid.uuid4().hex, []
    at = number * len(recordings) // talkers
    time.sleep(10 * number / talkers)
    while time.perf_counter() < until:
        which = at % len(recordings)
        recording = recordings[which]
        at += 1
        time.sleep(seconds(recording))
        heard = turn(url, recording, session, key=key)
        turns.append((which, heard))
        playing = heard.pieces[0][0]
        for arrived, duration in heard.pieces:
            playing = max(playing, arrived) + duration
        time.sleep(max(0.0, playing - heard.total_s) + THINK_S)
    return turns


def served(url: str, recordings: Sequence[bytes], talkers: int, duration_s: float) -> list[tuple[int, Heard]]:
    until = time.perf_counter() + duration_s
    with ThreadPoolExecutor(talkers) as pool:
        runs = [pool.submit(talk, url, recordings, number, talkers, until) for number in range(talkers)]
        return [one for run in runs for one in run.result()]


def said(times: ServiceTimes, turns: Sequence[tuple[int, Heard]]) -> list[Reply]:
    """The load as it was: what the learners and the tutor said in the run. No time is taken from it."""
    return [times.replies[which].model_copy(update={"deltas": heard.deltas}) for which, heard in turns]


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.percentile(values, [50, 95])
    return float(low), float(high)


def compared(times: ServiceTimes, talkers: int, turns: Sequence[tuple[int, Heard]]) -> dict[str, Any]:
    """Measured and simulated quantiles, how far the second are off, and the simulated waiting before each stage."""
    times = times.model_copy(update={"replies": said(times, turns)})
    world = simulate(times, talkers, seconds=3600)
    simulated = [turn.first_audio_s for turn in world.turns]
    p50, p95 = quantiles([heard.first_audio_s for _, heard in turns])
    simulated_p50, simulated_p95 = quantiles(simulated)
    return {
        "talkers": talkers,
        "turns": len(turns),
        "p50_s": p50,
        "simulated_p50_s": simulated_p50,
        "p50_off": simulated_p50 / p50 - 1,
        "p95_s": p95,
        "simulated_p95_s": simulated_p95,
        "p95_off": simulated_p95 / p95 - 1,
        "waited_s": {
            stage: float(np.mean([turn.waited_s.get(stage, 0.0) for turn in world.turns]))
            for stage in ("stt", "llm", "tts")
        },
    }
