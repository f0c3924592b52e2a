"""What it gains that STT and CEFR take several learners at once: the same utterances, one at a time and together.

Runs in the environment of `make test-gpu-engines`, on the CPU: Whisper base with its real weights,
and a classifier of mDeBERTa-base's size with random ones, whose time is the same. A GPU gains more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import serve
from ray.serve.handle import DeploymentHandle

from serve_app import audio
from serve_app.cefr import CefrClassifier
from serve_app.config.stack import TransformersCefrConfig, TransformersWhisperConfig
from serve_app.stt import SpeechToText
from serve_app.weights.model_names import cache_folder, resolve

from .recordings import UTTERANCES, recordings

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from gpu_engines import tiny_cefr, tiny_whisper

LEARNERS = 8
REPEATS = 2
MDEBERTA_BASE: dict[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "pooler_hidden_size": 768,
}


def whisper(folder: Path, max_batch: int) -> DeploymentHandle:
    config = TransformersWhisperConfig(
        engine="transformers", model=str(folder), num_gpus=0.2, device="cpu", dtype="float32", max_batch=max_batch
    )
    return _serve(SpeechToText, config, f"stt-{max_batch}")


def classifier(folder: Path, max_batch: int) -> DeploymentHandle:
    config = TransformersCefrConfig(
        engine="transformers", model=str(folder), num_gpus=0.1, device="cpu", max_batch=max_batch
    )
    return _serve(CefrClassifier, config, f"cefr-{max_batch}")


def _serve(deployment: Any, config: Any, name: str) -> DeploymentHandle:
    return serve.run(deployment.options(user_config={}).bind(config), name=name, route_prefix=None)


async def seconds(calls: list[Callable[[], Awaitable[Any]]]) -> float:
    """Until all learners, who come at the same moment, have their answer."""
    started = time.perf_counter()
    await asyncio.gather(*(call() for call in calls))
    return time.perf_counter() - started


async def compare(
    alone: Any, together: Any, calls: Callable[[Any, int], list[Callable[[], Awaitable[Any]]]]
) -> dict[str, float]:
    times: dict[str, list[float]] = {"one_at_a_time_s": [], "together_s": []}
    for repeat in range(REPEATS + 1):
        for name, way in (("one_at_a_time_s", alone), ("together_s", together)):
            took = await seconds(calls(way, repeat))
            if repeat:  # the first warms both
                times[name].append(took)
    medians = {name: statistics.median(some) for name, some in times.items()}
    pairs = zip(times["together_s"], times["one_at_a_time_s"], strict=True)
    return {**medians, "ratio": statistics.median(a / b for a, b in pairs)}


async def run() -> dict[str, dict[str, float]]:
    source = resolve("wheel:whisper-base")
    heard: list[np.ndarray] = [audio.decode(recording, max_seconds=60) for recording in recordings(LEARNERS)]

    def transcribe(stt: Any, _: int) -> list[Callable[[], Awaitable[Any]]]:
        return [lambda samples=samples: stt.transcribe.remote(samples) for samples in heard]

    def classify(cefr: Any, repeat: int) -> list[Callable[[], Awaitable[Any]]]:
        # A number makes each text new: the engine remembers what it has read.
        texts = [f"{text} {repeat}" for text in UTTERANCES[:LEARNERS]]
        return [lambda text=text: cefr.classify.remote(text, ()) for text in texts]

    with tempfile.TemporaryDirectory() as folder:
        base = tiny_whisper.whisper_base(cache_folder() / "bench", source)
        stt = await compare(whisper(base, 1), whisper(base, LEARNERS), transcribe)
        deberta = tiny_cefr.make(Path(folder, "cefr"), **MDEBERTA_BASE)
        cefr = await compare(classifier(deberta, 1), classifier(deberta, LEARNERS), classify)
    return {"stt": stt, "cefr": cefr}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures as JSON")
    arguments = parser.parse_args()
    ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=200_000_000, log_to_driver=False)
    try:
        result = asyncio.run(run())
    finally:
        serve.shutdown()
        ray.shutdown()
    for name, figures in result.items():
        one, all_ = figures["one_at_a_time_s"], figures["together_s"]
        print(f"{name:5} {LEARNERS} learners: one at a time {one:.2f} s, together {all_:.2f} s, {figures['ratio']:.2f}")
    if arguments.save:
        arguments.save.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
