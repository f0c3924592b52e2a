"""The level of the tutor's replies, by the lexical classifier, against the level that the learner has.

    python -m bench.reply_level [--turns 60]                     # this machine, without speech: 5 minutes
    python -m bench.reply_level --url http://localhost:8000      # a running stack, spoken to

The same utterances at each level, each in a conversation of its own, and the replies rated.
Wanted: the replies' mean level rises with the learner's, and at least 80 % of the replies are at most one level off.
"""

from __future__ import annotations

import argparse
import asyncio
import uuid

import numpy as np

from serve_app.engines.cefr.lexical import LexicalCefr
from serve_app.protocols import LEVELS

from .cefr_engines import UNSEEN, load
from .inprocess import tutor
from .tutor_replies import Served, Tutor, Typed

SAID = UNSEEN.with_name("spoken_levels_development.txt")


async def replies(of: Tutor, said: list[str], level: str) -> list[str]:
    """What the tutor answers to each utterance, one after the other."""
    return [(await of.answer(one, level, uuid.uuid4().hex))[1] for one in said]


async def rated(engine: LexicalCefr, texts: list[str]) -> np.ndarray:
    """Expected level (A1 = 0 .. C2 = 5) and the most likely one, shape [replies that are long enough, 2]."""
    estimates = [one for one in await engine.classify_batch([(text, ()) for text in texts]) if one.level]
    return np.array(
        [
            (sum(LEVELS.index(level) * p for level, p in one.probabilities.items()), LEVELS.index(str(one.level)))
            for one in estimates
        ]
    )


async def measure(url: str | None, turns: int, show: bool) -> None:
    texts, y = load(SAID)
    evenly = np.argsort(np.arange(len(y)) % (len(y) // len(LEVELS)), kind="stable")  # one of each level in turn
    said = [texts[i] for i in evenly[:turns]]
    of = Served(url) if url else Typed(await tutor({"sampling": {"seed": 1}}, decode_threads=2, slots=1))
    engine = LexicalCefr()
    means: list[float] = []
    for target, level in enumerate(LEVELS):
        made = await replies(of, said, level)
        if show:
            print("\n".join(f"{level}\t{one}\t{reply}" for one, reply in zip(said, made, strict=True)))
        found = await rated(engine, made)
        near = (np.abs(found[:, 1] - target) <= 1).mean()
        means.append(float(found[:, 0].mean()))
        print(f"{level}: {len(found)} replies rated, mean level {means[-1]:.2f}, within one level {near:.0%}")
    print("the mean rises with the level" if means == sorted(means) else "the mean does not rise with the level")


def main() -> None:
    parser = argparse.ArgumentParser(description="The level of the tutor's replies.")
    parser.add_argument("--url", help="a running stack, instead of a model in this process")
    parser.add_argument("--turns", type=int, default=60, help="per level")
    parser.add_argument("--show", action="store_true", help="print the replies")
    args = parser.parse_args()
    asyncio.run(measure(args.url, args.turns, args.show))


if __name__ == "__main__":
    main()
