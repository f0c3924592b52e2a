"""Does Whisper write what a learner said, or what should have been said?

    python -m bench.learner_stt [--part held-out] [--accents pt-br es it]     # 15 minutes the first time, then 5

Speaks bench/data/learner_speech.txt with its errors and without, in Kokoro's voices, read with the sounds of several
languages; the recordings are kept beside the weights. An error is kept if the learner's word stands in its place,
mended if the right one does, and else it was not understood. A right sentence is changed if it comes out otherwise
with `learner_errors` than without.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import hashlib
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from serve_app.audio import decode, wav
from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.stt.faster_whisper import FasterWhisper, assemble
from serve_app.engines.tts.kokoro_onnx import KokoroOnnx
from serve_app.package_data import data_file
from serve_app.protocols import Audio
from serve_app.weights.model_names import cache_folder, resolve

from .word_errors import edits, words

SENTENCES = Path(__file__).parent / "data/learner_speech.txt"
Accent = Literal["pt-br", "es", "it", "en-us"]
ACCENTS: tuple[Accent, ...] = get_args(Accent)
"""The languages with whose sounds the Portuguese text is read; "pt-br" is a native speaker."""
Part = Literal["development", "held-out", "all"]


@dataclass(frozen=True, slots=True)
class Sentence:
    kind: str
    said: str
    right: str
    place: int
    """The word that differs, counted in `words`."""
    held_out: bool
    voice: str
    accent: Accent


@dataclass(slots=True)
class Count:
    """What became of the sentences of a kind or an accent."""

    errors: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    wrong_words: int = 0
    words: int = 0


def sentences() -> Iterator[Sentence]:
    """Those of the file, the voices and accents in turn; every second one of a kind is held out."""
    voices = sorted(path.stem for path in data_file("voices").glob("*.bin"))
    kind, number, total = "", 0, 0
    for line in SENTENCES.read_text("utf-8").splitlines():
        if line.startswith("## "):
            kind, number = line[3:], 0
        if line.startswith("#") or not (found := re.search(r"\[(.+)\|(.+)\]", line)):
            continue
        before, after = line[: found.start()], line[found.end() :]
        turn = total // 2  # so that both halves have all voices and accents
        yield Sentence(
            kind,
            before + found[1] + after,
            before + found[2] + after,
            len(words(before)),
            number % 2 == 1,
            voices[turn % len(voices)],
            ACCENTS[turn % len(ACCENTS)],
        )
        number, total = number + 1, total + 1


async def spoken(said: Sequence[tuple[str, str, str]]) -> list[Audio]:
    """The texts in a voice with an accent, made once."""
    folder = cache_folder() / "bench" / "learner_stt"
    folder.mkdir(parents=True, exist_ok=True)
    voices = {path.stem: path for path in sorted(data_file("voices").glob("*.bin"))}
    engines: dict[str, KokoroOnnx] = {}
    recordings = []
    for text, voice, accent in said:
        path = folder / f"{hashlib.sha256(f'{voice} {accent} {text}'.encode()).hexdigest()[:16]}.wav"
        if not path.exists():
            if accent not in engines:
                engines[accent] = KokoroOnnx(resolve("wheel:kokoro-82m"), voices=voices, language=accent)
            parts = [part async for part in engines[accent].synthesize(text, voice=voice, speed=1.0)]
            path.write_bytes(wav(np.concatenate(parts), engines[accent].sample_rate))
        recordings.append(decode(path.read_bytes(), max_seconds=60))
    return recordings


def outcome(sentence: Sentence, heard: str) -> str:
    """What stands where the learner erred."""
    said, right, got = words(sentence.said), words(sentence.right), words(heard)
    for kind, first, last, start, end in difflib.SequenceMatcher(None, said, got, autojunk=False).get_opcodes():
        if first <= sentence.place < last:
            if kind == "equal":
                return "kept"
            same_length = end - start == last - first
            if same_length and got[start + sentence.place - first] == right[sentence.place]:
                return "mended"
    return "not understood"


def hear(engine: FasterWhisper, audio: Audio) -> tuple[str, str, float]:
    """The text as Whisper writes it, the text with the learner's errors, and the seconds between the two."""
    written, language = engine.write(audio, "pt", None, (), CancelScope())
    started = time.perf_counter()
    said = engine.as_said(written, language)
    took = time.perf_counter() - started
    return assemble(written, language).text, assemble(said, language).text, took


def table(title: str, counts: dict[str, Count]) -> None:
    columns = ("errors", "kept", "mended", "neither", "of heard", "changed", "WER")
    print(f"\n{title}\n{'':14}" + "".join(f"{column:>9}" for column in columns))
    for name, count in counts.items():
        errors, right = count.errors.total(), count.right.total()
        heard = count.errors["kept"] + count.errors["mended"]
        shares = [count.errors[what] / errors for what in ("kept", "mended", "not understood")]
        shares += [count.errors["kept"] / max(1, heard), count.right["changed"] / right]
        print(
            f"{name:14}{errors:9}"
            + "".join(f"{share:9.1%}" for share in shares)
            + f"{count.wrong_words / count.words:9.3f}"
        )


def measure(engine: FasterWhisper, chosen: Sequence[Sentence], *, show: bool) -> None:
    texts = [(text, one.voice, one.accent) for one in chosen for text in (one.said, one.right)]
    recordings = asyncio.run(spoken(texts))
    ways: dict[str, dict[str, Count]] = {"without learner_errors": {}, "with learner_errors": {}}
    added: list[float] = []
    for i, (text, _, accent) in enumerate(texts):
        one, is_right = chosen[i // 2], i % 2 == 1
        written, said, took = hear(engine, recordings[i])
        added.append(took * 1000)
        for counts, heard in zip(ways.values(), (written, said), strict=True):
            for name in ("all", one.kind, accent):
                count = counts.setdefault(name, Count())
                count.wrong_words += edits(words(text), words(heard))
                count.words += len(words(text))
                if is_right:
                    count.right["changed" if heard != written else "as before"] += 1
                else:
                    count.errors[outcome(one, heard)] += 1
        if show and (said != written or (not is_right and outcome(one, said) != "kept")):
            label = "right" if is_right else outcome(one, said)
            print(f"{label:15}{text} | {written}" + (f" -> {said}" if said != written else ""))
    for title, counts in ways.items():
        table(title, counts)
    lengths = sorted(len(audio) / 16_000 for audio in recordings)
    print(
        f"\nms added to an utterance of {statistics.median(lengths):.1f} s: mean {statistics.mean(added):.0f}, "
        f"median {statistics.median(added):.0f}, 95 % {np.quantile(added, 0.95):.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Learners' errors in Whisper's transcripts.")
    parser.add_argument("--part", choices=get_args(Part), default="all")
    parser.add_argument("--accents", nargs="+", choices=ACCENTS, default=ACCENTS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--show", action="store_true", help="what was not kept or changed; not for the held-out half")
    args = parser.parse_args()
    engine = FasterWhisper(resolve("wheel:whisper-base"), threads=args.threads)
    chosen = [one for one in sentences() if one.accent in args.accents]
    if args.part != "all":
        chosen = [one for one in chosen if one.held_out == (args.part == "held-out")]
    measure(engine, chosen, show=args.show)


if __name__ == "__main__":
    main()
