"""The level of the tutor's replies, by the lexical classifier, against the level that the learner has.

    python -m bench.reply_level --url http://localhost:8000 [--turns 60]

Asks a running stack the same spoken utterances at each level, each in a conversation of its own, and rates the replies.
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
from .recordings import spoken
from .server import turn

SAID = UNSEEN.with_name("spoken_levels_development.txt")


async def replies(url: str, recordings: list[bytes], level: str) -> list[str]:
    """What the tutor answers to each recording, one after the other."""
    answers = [await asyncio.to_thread(turn, url, one, uuid.uuid4().hex, "eager", level) for one in recordings]
    return [answer.response for answer in answers]


async def rated(engine: LexicalCefr, texts: list[str]) -> np.ndarray:
    """Expected level (A1 = 0 .. C2 = 5) and the most likely one, shape [replies that are long enough, 2]."""
    estimates = [one for one in await engine.classify_batch([(text, ()) for text in texts]) if one.level]
    return np.array(
        [
            (sum(LEVELS.index(level) * p for level, p in one.probabilities.items()), LEVELS.index(str(one.level)))
            for one in estimates
        ]
    )


async def measure(url: str, turns: int) -> None:
    texts, y = load(SAID)
    evenly = np.argsort(np.arange(len(y)) % (len(y) // len(LEVELS)), kind="stable")  # one of each level in turn
    recordings = await spoken([texts[i] for i in evenly[:turns]])
    engine = LexicalCefr()
    means: list[float] = []
    for target, level in enumerate(LEVELS):
        found = await rated(engine, await replies(url, recordings, level))
        near = (np.abs(found[:, 1] - target) <= 1).mean()
        means.append(float(found[:, 0].mean()))
        print(f"{level}: {len(found)} replies rated, mean level {means[-1]:.2f}, within one level {near:.0%}")
    print("the mean rises with the level" if means == sorted(means) else "the mean does not rise with the level")


def main() -> None:
    parser = argparse.ArgumentParser(description="The level of the tutor's replies.")
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--turns", type=int, default=60, help="per level")
    args = parser.parse_args()
    asyncio.run(measure(args.url, args.turns))


if __name__ == "__main__":
    main()
