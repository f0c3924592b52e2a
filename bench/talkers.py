"""Talkers against a real server, as the simulation has them: speak, listen to the end, think, speak again."""

from __future__ import annotations

import io
import time
import uuid
import wave
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .server import turn
from .service_times import ServiceTimes
from .simulation import THINK_S, simulate

BOUND = 0.2
"""How far p50 and p95 of first audio may be off."""


def seconds(recording: bytes) -> float:
    with wave.open(io.BytesIO(recording)) as opened:
        return opened.getnframes() / opened.getframerate()


def talk(url: str, recordings: Sequence[bytes], number: int, talkers: int, until: float) -> list[float]:
    """One talker's first audio, turn by turn, until the time is over."""
    session, first = uuid.uuid4().hex, []
    at = number * len(recordings) // talkers
    time.sleep(10 * number / talkers)
    while time.perf_counter() < until:
        recording = recordings[at % len(recordings)]
        at += 1
        time.sleep(seconds(recording))
        heard = turn(url, recording, session)
        first.append(heard.first_audio_s)
        playing = heard.pieces[0][0]
        for arrived, duration in heard.pieces:
            playing = max(playing, arrived) + duration
        time.sleep(max(0.0, playing - heard.total_s) + THINK_S)
    return first


def served(url: str, recordings: Sequence[bytes], talkers: int, duration_s: float) -> list[float]:
    until = time.perf_counter() + duration_s
    with ThreadPoolExecutor(talkers) as pool:
        runs = [pool.submit(talk, url, recordings, number, talkers, until) for number in range(talkers)]
        return [value for run in runs for value in run.result()]


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.percentile(values, [50, 95])
    return float(low), float(high)


def compared(times: ServiceTimes, talkers: int, measured: Sequence[float]) -> dict[str, float]:
    """Measured and simulated quantiles, and how far the second are off."""
    simulated = [turn.first_audio_s for turn in simulate(times, talkers, seconds=3600).turns]
    p50, p95 = quantiles(measured)
    simulated_p50, simulated_p95 = quantiles(simulated)
    return {
        "talkers": talkers,
        "turns": len(measured),
        "p50_s": p50,
        "simulated_p50_s": simulated_p50,
        "p50_off": simulated_p50 / p50 - 1,
        "p95_s": p95,
        "simulated_p95_s": simulated_p95,
        "p95_off": simulated_p95 / p95 - 1,
    }
