"""Whisper on the window of the speech against Whisper on its 30 s: time, word error rate, made-up text.

    python -m bench.stt_window [--utterances 300] [--save FILE]     # 10 minutes on two idle cores

The sentences of `bench.recordings` in three voices; alone, or two to six in a row (2 to 25 s); clean, in noise of
12 dB, or with silence at both ends. Both ways hear each utterance, one right after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.audio import decode, wav
from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.stt.faster_whisper import FasterWhisper, assemble
from serve_app.engines.tts.kokoro_onnx import KokoroOnnx
from serve_app.package_data import data_file
from serve_app.protocols import STT_SAMPLE_RATE, Audio
from serve_app.weights.model_names import resolve

from .recordings import UTTERANCES
from .word_errors import edits, words

NOISE_DB = 12
RUNAWAY = 1.5
"""So many times the words that were said: text that Whisper made up."""


@dataclass(frozen=True, slots=True)
class Said:
    text: str
    audio: Audio
    """16 kHz, shape [samples]."""
    seconds: float
    form: str


@dataclass(slots=True)
class Result:
    """What one way of hearing made of all utterances."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    words: int = 0
    runaways: int = 0

    def add(self, said: str, heard: str, seconds: float) -> None:
        wanted, got = words(said), words(heard)
        self.seconds.append(seconds)
        self.errors += edits(wanted, got)
        self.words += len(wanted)
        self.runaways += len(got) > max(RUNAWAY * len(wanted), len(wanted) + 3)


async def spoken() -> dict[tuple[str, str], Audio]:
    """Every sentence in every voice."""
    voices = {path.stem: path for path in sorted(data_file("voices").glob("*.bin"))}
    engine = KokoroOnnx(resolve("wheel:kokoro-82m"), voices=voices)
    made = {}
    for voice in voices:
        for text in UTTERANCES:
            parts = [part async for part in engine.synthesize(text, voice=voice, speed=1.0)]
            made[text, voice] = decode(wav(np.concatenate(parts), engine.sample_rate), max_seconds=60)
    return made


def utterances(made: dict[tuple[str, str], Audio], count: int, chance: random.Random) -> list[Said]:
    """A mixture of lengths and disturbances; the same for the same seed."""
    voices = sorted({voice for _, voice in made})
    noise = np.random.default_rng(1)
    mixed = []
    for number in range(count):
        voice, sentences = voices[number % len(voices)], chance.choice((1, 1, 1, 2, 3, 6))
        texts = chance.sample(UTTERANCES, sentences)
        audio = np.concatenate([made[text, voice] for text in texts])[: 25 * STT_SAMPLE_RATE]
        form = ("clean", "noise", "silence at both ends")[number // len(voices) % 3]
        if form == "noise":
            loud = float(np.sqrt(np.mean(audio**2))) / 10 ** (NOISE_DB / 20)
            audio = audio + noise.normal(0, loud, audio.shape).astype(np.float32)
        elif form != "clean":
            quiet = np.zeros(STT_SAMPLE_RATE * 3 // 2, np.float32)
            audio = np.concatenate([quiet, audio, quiet])
        mixed.append(Said(" ".join(texts), audio, len(audio) / STT_SAMPLE_RATE, form))
    return mixed


def compare(engine: FasterWhisper, said: list[Said]) -> dict[str, Any]:
    ways = {"30 s": Result(), "speech": Result()}
    for number, utterance in enumerate(said):
        for way in sorted(ways, reverse=number % 2 == 0):
            started = time.perf_counter()
            if way == "30 s":
                heard = assemble(engine.hear(utterance.audio, "pt", None, CancelScope(), whole=True), "pt").text
            else:
                heard = engine.transcribe_now(utterance.audio, "pt", None, (), CancelScope()).text
            ways[way].add(utterance.text, heard, time.perf_counter() - started)
    whole, short = ways["30 s"], ways["speech"]
    return {
        "utterances": len(said),
        "length_s": [round(edge, 1) for edge in (min(u.seconds for u in said), max(u.seconds for u in said))],
        "time_ratio": round(statistics.median(s / w for s, w in zip(short.seconds, whole.seconds, strict=True)), 3),
        "wer": {way: round(result.errors / result.words, 4) for way, result in ways.items()},
        "runaways": {way: result.runaways for way, result in ways.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Whisper on the window of the speech against its 30 s.")
    parser.add_argument("--utterances", type=int, default=300)
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    said = utterances(asyncio.run(spoken()), args.utterances, random.Random(1))
    figures = compare(FasterWhisper(resolve("wheel:whisper-base")), said)
    print(json.dumps(figures, indent=1))
    if args.save:
        args.save.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
