"""Fit the lexical CEFR model and write `serve_app/data/cefr_lexical.json`.

    python scripts/fit_cefr.py [--out FILE]

Method. Every utterance of `scripts/cefr_sentences.json` that is not held out becomes a row of
features (`serve_app/engines/cefr/lexical_features.py`). Five logistic regressions on the standardised
features answer "at least A2?" to "at least C2?", with one ridge penalty, the one whose ten-fold
cross-validated log loss is smallest. From the cross-validated answers, never from the fit itself,
come the `gains`: for n = 1, 2, ... utterances drawn from the sentences as one learner's, the factor
on their mean log-odds that gives the smallest log loss. Independent utterances of one level would
give n. But nobody shows all he can in every sentence ("sim, eu acho que é verdade"), so each but
the first comes, with the probability `EASY` that we assume, from one or two levels below.

`agreement` is not fitted. Our sentences are typical of their level and of one hand; what a real
learner says is neither, and raters differ. The best published systems for Portuguese agree with
the raters on 72 % (del Rio 2019, learner texts), 75 % (Curto 2015) and some 80 % (fine-tuned
transformers) of whole texts, so no amount of text makes the model surer than that.

The utterances and their labels are our own work. numpy only; the same input gives the same file.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from serve_app.engines.cefr.lexical import Model, level_probabilities  # noqa: E402
from serve_app.engines.cefr.lexical_features import FEATURES, features  # noqa: E402
from serve_app.protocols import LEVELS  # noqa: E402

SENTENCES = ROOT / "scripts" / "cefr_sentences.json"
OUT = ROOT / "serve_app" / "data" / "cefr_lexical.json"
PENALTIES = (0.3, 0.5, 1.0, 2.0, 4.0, 8.0)
FOLDS = 10
GROUPS = 400  # drawn per level and number of utterances
MOST_UTTERANCES = 8
EASY = 0.25
AGREEMENT = 0.8

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def load(*, held_out: bool = False) -> tuple[list[str], Ints]:
    """The texts of one split and their levels (0..5)."""
    rows: list[dict[str, str]] = json.loads(SENTENCES.read_text(encoding="utf-8"))
    rows = [row for row in rows if (row.get("split") == "heldout") == held_out]
    return [row["text"] for row in rows], np.array([LEVELS.index(row["level"]) for row in rows])


def matrix(texts: list[str]) -> Floats:
    """Features of texts that are all long enough, shape [texts, len(FEATURES)]."""
    rows = [features(text) for text in texts]
    short = [text for text, row in zip(texts, rows, strict=True) if row is None]
    if short:
        raise SystemExit(f"too short to tell anything: {short}")
    return np.array(rows, float)


def folds(y: Ints, seed: int = 0) -> Ints:
    """The fold of every row, each with its share of every level."""
    rng = np.random.default_rng(seed)
    fold = np.empty(len(y), int)
    for level in range(len(LEVELS)):
        rows = rng.permutation(np.flatnonzero(y == level))
        fold[rows] = (np.arange(len(rows)) + level) % FOLDS
    return fold


def logistic(x: Floats, answer: Floats, penalty: float) -> Floats:
    """Ridge logistic regression by Newton's method; the bias is the first weight and goes free."""
    x = np.column_stack([np.ones(len(x)), x])
    weights = np.zeros(x.shape[1])
    ridge = penalty * np.eye(x.shape[1])
    ridge[0, 0] = 1e-6
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (p - answer) + ridge @ weights
        step = np.linalg.solve((x.T * (p * (1 - p))) @ x + ridge, gradient)
        weights -= step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def questions(x: Floats, y: Ints, penalty: float) -> Model:
    """The five regressions, moved back to raw features; gains and agreement still of no effect."""
    mean, scale = x.mean(0), x.std(0) + 1e-9
    fitted = [logistic((x - mean) / scale, (y >= k).astype(float), penalty) for k in range(1, len(LEVELS))]
    weights = [w[1:] / scale for w in fitted]
    return Model(
        levels=list(LEVELS),
        features=list(FEATURES),
        weights=[[round(float(v), 5) for v in w] for w in weights],
        biases=[round(float(f[0] - w @ mean), 5) for f, w in zip(fitted, weights, strict=True)],
        gains=[1.0],
        agreement=1.0,
        penalty=penalty,
    )


def unseen(x: Floats, y: Ints, penalty: float) -> Floats:
    """The log-odds of every row from a model that has not seen it, shape [rows, 5]."""
    odds = np.empty((len(y), len(LEVELS) - 1))
    fold = folds(y)
    for k in range(FOLDS):
        odds[fold == k] = questions(x[fold != k], y[fold != k], penalty).log_odds(x[fold == k])
    return odds


def log_loss(log_odds: Floats, y: Ints) -> float:
    """Mean negative log-likelihood of the levels, each level given at least 0.1 %."""
    p = level_probabilities(log_odds)[np.arange(len(y)), y]
    return float(-np.log(np.maximum(p, 1e-3)).mean())


def groups(y: Ints, n: int, count: int, rng: np.random.Generator, easy: float = 0.0) -> tuple[Ints, Ints]:
    """`count` groups per level of `n` rows of it: the rows, shape [groups, n], and the levels.

    A share `easy` of the rows but the first is replaced by rows from one or two levels below.
    """
    levels = np.repeat(np.arange(len(LEVELS)), count)
    of_level = [np.flatnonzero(y == level) for level in range(len(LEVELS))]
    rows = np.array([rng.choice(of_level[k], n, replace=False) for k in levels])
    for i, j in np.argwhere(rng.random(rows.shape) < easy):
        if j > 0:
            rows[i, j] = rng.choice(of_level[max(0, levels[i] - rng.integers(1, 3))])
    return rows, levels


def fit(x: Floats, y: Ints) -> Model:
    """The whole model, by the method told above."""
    tried = {penalty: unseen(x, y, penalty) for penalty in PENALTIES}
    penalty = min(tried, key=lambda p: log_loss(tried[p], y))
    rng = np.random.default_rng(0)
    gains = []
    for n in range(1, MOST_UTTERANCES + 1):
        rows, levels = groups(y, n, GROUPS, rng, EASY)
        mean = tried[penalty][rows].mean(axis=1)
        candidates = [round(float(gain), 1) for gain in np.arange(0.5, n + 0.05, 0.1)]
        gains.append(min(candidates, key=lambda gain: log_loss(gain * mean, levels)))
    gains = np.maximum.accumulate(gains).tolist()  # what falls is the noise of the draw
    return questions(x, y, penalty).model_copy(update={"gains": gains, "agreement": AGREEMENT})


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the lexical CEFR model.")
    parser.add_argument("--out", type=Path, default=OUT, help="where the numbers go")
    out: Path = parser.parse_args().out
    texts, y = load()
    out.write_text(fit(matrix(texts), y).model_dump_json(indent=1) + "\n", encoding="utf-8")
    print(f"{out}: {len(texts)} utterances")


if __name__ == "__main__":
    main()
