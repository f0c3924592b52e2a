"""How good the CEFR engine `lexical` is: accuracy, calibration, speed.

    python bench/cefr.py [--json FILE] [--rounds N]

Every figure on the fitted sentences is cross-validated: ten folds with their share of every level,
in several rounds with other folds, and the whole of `fit` (penalty and gains too) is done anew in
each. "exact" is the share of right levels, "adjacent" of those at most one off. `confidence` should equal
`exact`; the engine is kept below it on purpose (`agreement` in scripts/fit_cefr.py), so the
confidence before that allowance is shown as well. Groups of 3 and 5 are utterances of one level
drawn from the same folds, "some easy" with a quarter from one or two levels below, as learners do
not show all they can in every sentence; no learner's own recordings are in them. The held-out utterances were
written before anything was fitted, and by the same hand.
`bench/cefr_engines.py` has the engines side by side on others.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.fit_cefr import EASY, FOLDS, Floats, Ints, fit, folds, groups, load, matrix  # noqa: E402
from serve_app.engines.cefr.lexical import LexicalCefr, Model  # noqa: E402
from serve_app.protocols import LEVELS  # noqa: E402

GROUPS = 60  # per level, per round of folds
KINDS = {  # number of utterances, share of easy ones
    "1": (1, 0.0),
    "3": (3, 0.0),
    "5": (5, 0.0),
    "5, some easy": (5, EASY),
}

Told = tuple[Floats, Floats]  # probabilities as returned, and before the allowance


def told(model: Model, odds: Floats) -> Told:
    """The two kinds of probabilities from the log-odds of one learner's utterances."""
    return model.probabilities(odds), model.model_copy(update={"agreement": 1.0}).probabilities(odds)


def figures(results: list[Told], y: Ints) -> dict[str, Any]:
    """Accuracy over all and by level, and the mean confidences."""
    returned, shown = (np.array(part) for part in zip(*results, strict=True))
    off = np.abs(returned.argmax(1) - y)
    return {
        "n": len(y),
        "exact": float((off == 0).mean()),
        "adjacent": float((off <= 1).mean()),
        "confidence": float(returned.max(1).mean()),
        "confidence_before_allowance": float(shown.max(1).mean()),
        "exact_by_level": {level: float((off[y == k] == 0).mean()) for k, level in enumerate(LEVELS)},
        "adjacent_by_level": {level: float((off[y == k] <= 1).mean()) for k, level in enumerate(LEVELS)},
    }


def cross_validated(x: Floats, y: Ints, rounds: int) -> dict[str, dict[str, Any]]:
    """Figures for 1, 3 and 5 utterances, all by models that have not seen them."""
    results: dict[str, list[Told]] = {name: [] for name in KINDS}
    truth: dict[str, list[int]] = {name: [] for name in KINDS}
    for seed in range(rounds):
        fold = folds(y, seed)
        odds = np.empty((len(y), len(LEVELS) - 1))
        models = [fit(x[fold != k], y[fold != k]) for k in range(FOLDS)]
        for k, model in enumerate(models):
            odds[fold == k] = model.log_odds(x[fold == k])
        rng = np.random.default_rng(seed)
        for name, (n, easy) in KINDS.items():
            rows, levels = (np.arange(len(y))[:, None], y) if n == 1 else groups(y, n, GROUPS, rng, easy)
            # Gains and allowance of the model that has not seen the group's first utterance.
            results[name] += [told(models[fold[row[0]]], odds[row]) for row in rows]
            truth[name] += levels.tolist()
    return {name: figures(results[name], np.array(truth[name])) for name in KINDS}


def ms_per_utterance(texts: list[str]) -> float:
    """Time of `classify` for texts that the engine has not met, word lists loaded."""
    engine = LexicalCefr()

    async def all_of_them() -> float:
        start = time.perf_counter()
        for text in texts:
            await engine.classify(text)
        return time.perf_counter() - start

    return 1000 * asyncio.run(all_of_them()) / len(texts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy, calibration and speed of the CEFR engine.")
    parser.add_argument("--json", type=Path, help="save the figures here")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of ten folds")
    args = parser.parse_args()
    path: Path | None = args.json
    texts, y = load()
    ms = ms_per_utterance(texts)  # first, while no word is in a cache
    x = matrix(texts)
    report = cross_validated(x, y, args.rounds)
    held, truth = load(held_out=True)
    model = fit(x, y)
    report["1, held out"] = figures([told(model, model.log_odds(row[None])) for row in matrix(held)], truth)
    row = f"{'':16}{'exact':>8}{'adjacent':>10}{'confidence':>12}{'(before)':>10}   exact by level"
    print(f"{len(texts)} utterances to fit, {len(held)} held out\n{row}")
    for name, f in report.items():
        by_level = " ".join(f"{level} {share:.2f}" for level, share in f["exact_by_level"].items())
        print(
            f"{name:16}{f['exact']:8.2f}{f['adjacent']:10.2f}{f['confidence']:12.2f}"
            f"{f['confidence_before_allowance']:10.2f}   {by_level}"
        )
    print(f"{ms:.2f} ms an utterance")
    if path:
        path.write_text(json.dumps({**report, "ms_per_utterance": ms}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
