"""The CEFR engines side by side on spoken utterances that none was fitted on, and the running level over conversations.

    python -m bench.cefr_engines [--model FOLDER] [--file FILE]

`--model` is a folder with the weights of a transformers classifier. One row for single utterances: exact, adjacent
(at most one level off), mean absolute error in levels, expected calibration error (ten bins) and Brier score.
Then conversations drawn from the utterances, a share of them from one or two levels below: the engine over all
utterances together ("pooled") against the running level, which takes one after the other. The running level assumes
such easy utterances, so that comparison favours it where there are many.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import numpy as np

from scripts.fit_cefr import Floats, Ints, groups
from serve_app.engines.cefr.lexical import LexicalCefr
from serve_app.protocols import LEVELS, CefrEngine
from serve_app.teaching.running_level import RunningLevel

UNSEEN = Path(__file__).parent / "data" / "spoken_levels_unseen.txt"
BLIND = UNSEEN.with_name("spoken_levels_blind.txt")
"""By somebody who knew nothing of the classifier."""
CONVERSATIONS = 30
"""Per level and length."""


def load(file: Path) -> tuple[list[str], Ints]:
    """Texts and levels (0..5) of a file of lines `LEVEL<tab>text`; # begins a comment."""
    lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    return [text for _, text in lines], np.array([LEVELS.index(level) for level, _ in lines])


def as_row(probabilities: dict[str, float]) -> list[float]:
    """Per level; all alike where nothing was told."""
    return [probabilities.get(level, 0.0 if probabilities else 1 / len(LEVELS)) for level in LEVELS]


def figures(told: Floats, truth: Ints) -> dict[str, float]:
    """Accuracy and calibration of probabilities of shape [n, 6]."""
    off, confidence = np.abs(told.argmax(1) - truth), told.max(1)
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = [abs((off[bins == b] == 0).mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in set(bins)]
    return {
        "exact": float((off == 0).mean()),
        "adjacent": float((off <= 1).mean()),
        "mae": float(off.mean()),
        "ece": float(sum(gaps)),
        "brier": float(((told - np.eye(len(LEVELS))[truth]) ** 2).sum(1).mean()),
    }


async def measured(engine: CefrEngine, texts: list[str], y: Ints) -> dict[str, dict[str, float]]:
    alone = [one.probabilities for one in await engine.classify_batch([(text, ()) for text in texts])]
    report = {"1": figures(np.array([as_row(one) for one in alone]), y)}
    rng = np.random.default_rng(0)
    for n in (3, 8):
        for easy in (0.0, 0.25):
            rows, truth = groups(y, n, CONVERSATIONS, rng, easy)
            pooled = await engine.classify_batch([(texts[row[-1]], [texts[i] for i in row[:-1]]) for row in rows])
            running = []
            for row in rows:
                level = RunningLevel()
                for i in row:
                    level = level.after(alone[i], len(texts[i].split()))
                running.append(as_row(level.probabilities))
            name = f"{n}, {easy:.0%} easy"
            report[f"{name}, pooled"] = figures(np.array([as_row(one.probabilities) for one in pooled]), truth)
            report[f"{name}, running"] = figures(np.array(running), truth)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description="The CEFR engines side by side.")
    parser.add_argument("--model", type=Path, help="folder of a transformers classifier")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--file", type=Path, default=BLIND, help="lines of LEVEL<tab>text")
    args = parser.parse_args()
    engines: dict[str, CefrEngine] = {"lexical": LexicalCefr()}
    if args.model:
        from serve_app.engines.cefr.transformers_cefr import TransformersCefr

        engines["transformers"] = TransformersCefr(args.model, device=args.device)
    texts, y = load(args.file)
    for name, engine in engines.items():
        print(f"{name}, {len(texts)} utterances")
        for what, f in asyncio.run(measured(engine, texts, y)).items():
            print(f"  {what:22}" + "".join(f"  {key} {value:.3f}" for key, value in f.items()))


if __name__ == "__main__":
    main()
