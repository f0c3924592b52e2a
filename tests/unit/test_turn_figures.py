"""What bench.turns reports, from turns as a client hears them."""

import pytest

from bench.server import Heard
from bench.turns import compared, written_s

NAMED = Heard(
    response="Prazer, Pedro! Você é da Espanha. De que cidade você é?",
    pieces=[(0.6, 1.2), (1.4, 1.6), (2.9, 1.5)],
    spoken=["Prazer, Pedro!", "Você é da Espanha.", "De que cidade você é?"],
    first_audio_s=0.6,
)
CUT = Heard(
    response="Que legal! Onde você mora?",
    pieces=[(0.5, 1.0), (0.9, 1.4)],
    spoken=["Que legal!", "Onde você mora?"],
    first_audio_s=0.5,
)
SCRIPT = Heard(response="Oi!", pieces=[(4.0, 2.0)], spoken=["Oi!"], first_audio_s=4.0)
PEER = Heard(response="Oi! Tudo bem?", pieces=[(2.0, 0.5), (3.0, 1.0)], first_audio_s=2.0)


@pytest.mark.parametrize(
    ("response", "spoken", "after"),
    [
        (NAMED.response, NAMED.spoken, 2.0),
        ("Que legal! Onde você mora?", ["Que legal! Onde você mora?"], 1.0),
        ("Até logo, bons estudos!", ["Até logo,", "bons estudos!"], 1.0),
        ("Onde você mora?", ["Onde você mora?"], 1.0),
    ],
    ids=["with the learner's name", "said in one piece", "nothing but an opening", "no opening"],
)
def test_the_sound_after_the_opening(response: str, spoken: list[str], after: float) -> None:
    pieces = [(float(number), 1.0) for number in range(1, len(spoken) + 1)]
    assert written_s(Heard(response=response, pieces=pieces, spoken=spoken)) == after


def test_ratios_are_of_the_same_turn() -> None:
    figures = compared({"served": [NAMED, CUT], "one_after_the_other": [SCRIPT] * 2, "pipecat": [PEER] * 2})
    assert figures["first_audio_ratio"] == pytest.approx((0.6 / 4 + 0.5 / 4) / 2)
    assert figures["first_audio_to_pipecat"] == pytest.approx((0.6 / 2 + 0.5 / 2) / 2)
    assert figures["pipecat_gap_s"] == pytest.approx(0.5)


def test_without_pipecat_nothing_is_said_of_it() -> None:
    assert not any("pipecat" in name for name in compared({"served": [CUT], "one_after_the_other": [SCRIPT]}))
