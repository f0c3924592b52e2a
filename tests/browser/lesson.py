"""What is said in the lessons of these tests, and how a turn must go."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from browser.learner import Learner

FIRST = "Meu irmão gosta de jogar futebol no parque."
SECOND = "Ontem eu fui ao mercado e comprei frutas e leite."
THIRD = "Minha namorada fala português muito bem."
QUESTION = "Onde fica o banheiro, por favor?"

REPLIES = {
    FIRST: "Que legal! O meu irmão também gosta de futebol. Ele joga no parque todo fim de semana?",
    SECOND: "Que bom! Frutas fazem bem. Você comprou banana ou manga?",
    THIRD: "Que ótimo! Vocês conversam em português em casa?",
    QUESTION: "Fica no fim do corredor, à direita. Você quer mais alguma coisa?",
}


def answered_aloud(learner: Learner) -> dict[str, Any]:
    """Say FIRST: it is written down, answered, and the answer is heard without gaps. The event `complete`."""
    learner.forget_states()
    complete = learner.ask(FIRST)
    assert learner.sees_line(complete["transcript"])
    assert learner.sees_line(complete["response"])
    assert in_order(["listening", "understanding", "thinking", "speaking", "ready"], learner.states)
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
