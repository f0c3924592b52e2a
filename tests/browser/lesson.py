"""What is said in the lessons of these tests, and how a turn must go."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from browser.learner import Learner

# Short, since they are spoken and answered in real time.
FIRST = "Eu gosto de futebol."
SECOND = "Ontem eu comprei frutas."
THIRD = "Onde fica o banheiro?"
MISTAKE = "Eu está muito triste hoje."

# What one sees in the screenshots, and what a real model has to understand.
BROTHER = "Meu irmão gosta de jogar futebol no parque."
MARKET = "Ontem eu fui ao mercado e comprei frutas e leite."
GIRLFRIEND = "Minha namorada fala português muito bem."

REPLIES = {
    FIRST: "Que legal! Você joga ou assiste?",
    SECOND: "Que bom! Banana ou manga?",
    THIRD: "Fica ali, à direita. Mais alguma coisa?",
    MISTAKE: "Sinto muito. O que aconteceu?",
    BROTHER: "Que legal! E você, também gosta de futebol?",
    MARKET: "Que bom! Quais frutas você comprou?",
    GIRLFRIEND: "Que ótimo! Vocês conversam em português em casa?",
}


def answered_aloud(learner: Learner, text: str) -> dict[str, Any]:
    """Say it: it is written down, answered, and the answer is heard without gaps. The event `complete`."""
    learner.forget_states()
    complete = learner.ask(text)
    assert learner.sees_line(complete["transcript"])
    assert learner.sees_line(complete["response"])
    # "thinking" may be over before it is seen: the opening is spoken as soon as the transcript is known
    assert in_order(["listening", "understanding", "speaking", "ready"], learner.states)
    assert learner.pieces > 0
    assert learner.samples_played > 12_000  # half a second of a voice, in samples that are no silence
    assert learner.loudest > 0.05  # and it came out at the other end of the audio graph
    assert len(learner.scheduled) == learner.pieces
    for before, after in pairwise(learner.scheduled):
        in_time = after["asked"] < before["ends"] - 0.1
        assert after["at"] == pytest.approx(before["ends"], abs=1e-6) if in_time else after["at"] > before["ends"]
    return complete


def in_order(wanted: list[str], seen: list[str]) -> bool:
    """Whether all that is wanted was seen, in that order; other things may lie between."""
    rest = iter(seen)
    return all(state in rest for state in wanted)
