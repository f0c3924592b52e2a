"""Does a word that was said wrongly score below those said rightly?

    python -m bench.pronunciation [--part held-out] [--unforeseen]     # an hour the first time, then 10 minutes

Kokoro's three voices say each sentence of bench/data/minimal_pairs.txt with the wrong word of its pair and with the
right one; both are scored against the right sentence. `--unforeseen`: without the very spelling that was said among
those that the word is compared with, as if it were a confusion that nobody thought of.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from unittest.mock import patch

from serve_app.engines.stt import pronunciation
from serve_app.engines.stt.faster_whisper import FasterWhisper
from serve_app.engines.stt.sound_alikes import sound_alikes
from serve_app.package_data import data_file
from serve_app.protocols import Audio, WordScore
from serve_app.weights.model_names import resolve

from .learner_stt import spoken

PAIRS = Path(__file__).parent / "data/minimal_pairs.txt"
Part = Literal["development", "held-out", "all"]


@dataclass(frozen=True, slots=True)
class Pair:
    kind: str
    said: str
    right: str
    place: int
    wrong_word: str
    held_out: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """One pair in one voice. `rank`: the share of the sentence's other words that scored above the wrong one."""

    pair: Pair
    wrong: WordScore
    right: WordScore
    rank: float
    others: tuple[WordScore, ...]
    """Words said rightly: the rest of the one sentence, and all of the other."""

    @property
    def lowest(self) -> bool:
        return self.rank == 1

    @property
    def below_itself(self) -> bool:
        return self.wrong.score < self.right.score


def pairs() -> list[Pair]:
    """Those of the file; every second one of a kind is held out."""
    found: list[Pair] = []
    kind, number = "", 0
    for line in PAIRS.read_text("utf-8").splitlines():
        if line.startswith("## "):
            kind, number = line[3:], 0
        if line.startswith("#") or not (place := re.search(r"\[(.+)\|(.+)\]", line)):
            continue
        before, after = line[: place.start()], line[place.end() :]
        said, right = before + place[1] + after, before + place[2] + after
        found.append(Pair(kind, said, right, len(before.split()), place[1].lower(), number % 2 == 1))
        number += 1
    return found


async def judged(engine: FasterWhisper, pair: Pair, audios: Sequence[Audio], *, unforeseen: bool) -> Outcome:
    """The scores of the two recordings, the wrong one first."""

    def alikes(word: str) -> list[str]:
        return [one for one in sound_alikes(word) if not (unforeseen and one == pair.wrong_word)]

    with patch.object(pronunciation, "sound_alikes", alikes):
        wrong, right = [await engine.pronounced(audio, pair.right, language="pt") for audio in audios]
    word = wrong[pair.place]
    rest = [one for i, one in enumerate(wrong) if i != pair.place]
    rank = statistics.mean(word.score < one.score for one in rest)
    return Outcome(pair, word, right[pair.place], rank, (*rest, *right))


def table(outcomes: Sequence[Outcome], foreseen: Sequence[Outcome]) -> None:
    kinds = list(dict.fromkeys(one.pair.kind for one in outcomes))
    groups = {
        "all": list(outcomes),
        "development": [one for one in outcomes if not one.pair.held_out],
        "held out": [one for one in outcomes if one.pair.held_out],
        "foreseen": list(foreseen),
        "not foreseen": [one for one in outcomes if one not in foreseen],
        **{kind: [one for one in outcomes if one.pair.kind == kind] for kind in kinds},
    }
    print(f"{'':14}{'pairs':>7}{'above it':>10}{'lowest':>8}{'< itself':>10}{'found':>8}{'false':>7}")
    for name, group in groups.items():
        if not group:
            continue
        rightly = [word for one in group for word in one.others]
        print(
            f"{name:14}{len(group):7}{statistics.mean(one.rank for one in group):10.1%}"
            f"{statistics.mean(one.lowest for one in group):8.1%}"
            f"{statistics.mean(one.below_itself for one in group):10.1%}"
            f"{statistics.mean(one.wrong.verdict != 'clear' for one in group):8.1%}"
            f"{statistics.mean(word.verdict != 'clear' for word in rightly):7.1%}"
        )


async def measure(
    engine: FasterWhisper, chosen: Sequence[Pair], voices: Sequence[str], args: argparse.Namespace
) -> None:
    outcomes: list[Outcome] = []
    took: list[float] = []
    for voice in voices:
        for pair in chosen:
            audios = await spoken([(text, voice, "pt-br") for text in (pair.said, pair.right)])
            started = time.perf_counter()
            outcomes.append(await judged(engine, pair, audios, unforeseen=args.unforeseen))
            took.append((time.perf_counter() - started) / 2)
            if args.show and not (outcomes[-1].lowest and outcomes[-1].below_itself):
                print(f"{voice}  {pair.said}  {outcomes[-1].wrong}  {outcomes[-1].right.score}")
    table(outcomes, [one for one in outcomes if one.pair.wrong_word in sound_alikes(_bare(one.pair))])
    print(f"\nseconds for a recording: median {statistics.median(took):.2f}")


def _bare(pair: Pair) -> str:
    return pronunciation.bare(pair.right.split()[pair.place])[0].lower()


def main() -> None:
    parser = argparse.ArgumentParser(description="Scores of words said wrongly and rightly.")
    parser.add_argument("--part", choices=get_args(Part), default="all")
    parser.add_argument("--voices", nargs="+", default=sorted(path.stem for path in data_file("voices").glob("*.bin")))
    parser.add_argument("--unforeseen", action="store_true", help="the spelling that was said is not compared")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--show", action="store_true", help="the pairs that were not told apart")
    args = parser.parse_args()
    engine = FasterWhisper(resolve("wheel:whisper-base"), threads=args.threads)
    chosen = [one for one in pairs() if args.part == "all" or one.held_out == (args.part == "held-out")]
    asyncio.run(measure(engine, chosen, args.voices, args))


if __name__ == "__main__":
    main()
