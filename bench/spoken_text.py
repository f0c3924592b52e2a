"""What is written, as it is said: how much of it comes back from Whisper.

    python -m bench.spoken_text cases [--most 120]        # 5 minutes on two idle cores
    python -m bench.spoken_text openings [--speeds 1 .9]  # 6 minutes for each speed

`cases`: the texts of tests/data/spoken_text.json, as a voice gets them. `openings`: the first words of replies, which
are synthesised alone, in three voices; heard alone, and followed by the sound of another sentence, as the learner hears
them. Recognised means one wrong word at the most. Whisper itself needs context: what it gets wrong alone may be said
well, so what sounds alike is counted too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.audio import decode, wav
from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.stt.faster_whisper import FasterWhisper
from serve_app.engines.tts.espeak import phonemes
from serve_app.engines.tts.kokoro_onnx import KokoroOnnx
from serve_app.package_data import data_file
from serve_app.protocols import Audio
from serve_app.spoken_text.normalise import spoken
from serve_app.teaching.openings import all_openings
from serve_app.weights.model_names import resolve

from .word_errors import edits, words

CASES = Path(__file__).parent.parent / "tests/data/spoken_text.json"
VOICES = ("pf_dora", "pm_alex", "pm_santa")
FOLLOWING = "Eu também gosto muito de música."
SENTENCE_PAUSE_S = 0.2
"""As `serve_app.tts` adds after a sentence."""

ALIKE = 0.2
"""Share of the sounds that may differ."""

SILENCE_S = 0.3
"""At both ends of what Whisper hears, as around a player's sound."""


@dataclass(frozen=True, slots=True)
class Heard:
    said: str
    heard: str
    voice: str
    speed: float
    followed: bool = False

    @property
    def wrong_words(self) -> int:
        """Of the text in words; digits that Whisper writes are put into words too, and hyphens count as spaces."""
        return edits(words(self.said), words(spoken(self.heard)))

    @property
    def recognised(self) -> bool:
        return self.wrong_words <= 1

    @property
    def sounds_alike(self) -> bool:
        """Whether what was heard is said like the text: "Kilegal" for "Que legal" was said well, and spelt badly."""
        wanted, got = (re.findall(r"[^\W\d_]", phonemes(spoken(text), "pt-br")) for text in (self.said, self.heard))
        return edits(wanted, got) <= ALIKE * len(wanted)


class RoundTrip:
    """Says a text with Kokoro and writes down what Whisper hears; both are the CPU stack's."""

    def __init__(self) -> None:
        voices = {path.stem: path for path in sorted(data_file("voices").glob("*.bin"))}
        self.voice = KokoroOnnx(resolve("wheel:kokoro-82m"), voices=voices)
        self._whisper = FasterWhisper(resolve("wheel:whisper-base"))

    def say(self, text: str, voice: str, speed: float) -> Audio:
        async def parts() -> list[Audio]:
            return [part async for part in self.voice.synthesize(text, voice=voice, speed=speed)]

        return np.concatenate(asyncio.run(parts()))

    def hear(self, sound: Audio) -> str:
        quiet = np.zeros(round(SILENCE_S * self.voice.sample_rate), np.float32)
        samples = decode(wav(np.concatenate([quiet, sound, quiet]), self.voice.sample_rate), max_seconds=60)
        return self._whisper.transcribe_now(samples, "pt", None, (), CancelScope()).text


def cases(trip: RoundTrip, most: int) -> Iterable[Heard]:
    texts = list(filter(None, map(spoken, json.loads(CASES.read_text("utf-8"))["pt-br"])))
    for said in texts[:: max(1, len(texts) // most)]:
        yield Heard(said, trip.hear(trip.say(said, "pf_dora", 1.0)), "pf_dora", 1.0)


def openings(trip: RoundTrip, speeds: Iterable[float]) -> Iterable[Heard]:
    for speed in speeds:
        for voice in VOICES:
            pause = np.zeros(round(SENTENCE_PAUSE_S * trip.voice.sample_rate), np.float32)
            following = trip.say(FOLLOWING, voice, speed)
            for text in all_openings():
                sound = trip.say(text, voice, speed)
                yield Heard(text, trip.hear(sound), voice, speed)
                both = trip.hear(np.concatenate([sound, pause, following]))
                yield Heard(f"{text} {FOLLOWING}", both, voice, speed, followed=True)


def share(results: list[Heard]) -> str:
    if not results:
        return "-"
    recognised, alike = sum(r.recognised for r in results), sum(r.recognised or r.sounds_alike for r in results)
    return f"{recognised} of {len(results)} by words, {alike} by words or sound"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cases", "openings"))
    parser.add_argument("--speeds", type=float, nargs="+", default=[1.0, 0.9, 1.1])
    parser.add_argument("--most", type=int, default=1000, help="cases, evenly taken")
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    trip = RoundTrip()
    results: list[Heard] = []
    for result in cases(trip, args.most) if args.what == "cases" else openings(trip, args.speeds):
        results.append(result)
        if not result.recognised:
            print(
                f"{result.wrong_words:2}  {result.voice} {result.speed}  {result.said}  ->  {result.heard}", flush=True
            )
    groups: dict[str, Any] = {
        "alone": share([r for r in results if not r.followed]),
        "before a sentence": share([r for r in results if r.followed]),
    }
    groups |= {voice: share([r for r in results if r.voice == voice]) for voice in VOICES}
    groups |= {f"speed {speed}": share([r for r in results if r.speed == speed]) for speed in args.speeds}
    print(json.dumps(groups, indent=1))
    if args.save:
        args.save.write_text(json.dumps(groups, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
