"""Questions about the tutor, for advice and for recommendations: `serve_app.teaching.known_answers`."""

from __future__ import annotations

import pytest

from serve_app.teaching.known_answers import known_answer
from serve_app.teaching.plan import Said
from serve_app.teaching.planner import plan

ASKED = {
    "Você é uma pessoa de verdade?": "asked",
    "Onde você mora?": "asked",
    "Você já viajou para o Nordeste?": "asked",
    "Que música você gosta?": "asked",
    "Você trabalha no domingo?": "asked",
    "Que doce do Brasil você recomenda?": "recommended",
    "Você pode me indicar um livro fácil em português?": "recommended",
    "Que cidade do Brasil eu devo visitar?": "recommended",
    "Como eu posso melhorar a minha pronúncia?": "advised",
    "O que eu digo quando chego atrasado?": "advised",
    "Meu vizinho faz barulho. O que eu posso fazer?": "advised",
}


@pytest.mark.parametrize(("question", "kind"), ASKED.items())
def test_a_question_to_the_tutor_is_answered_from_data(question: str, kind: str) -> None:
    known = known_answer(question)
    assert known is not None
    assert known[1] == kind
    made = plan(Said(question, question, "A2"), follow_ups=True)
    assert made.whole
    assert known[0] in made.begin
    assert made.begin.endswith("?")


@pytest.mark.parametrize(
    "question", ["O que você acha da política?", "Como se chama o meu gato?", "Por que o meu chefe grita?"]
)
def test_what_the_data_lacks_is_left_to_the_model(question: str) -> None:
    assert known_answer(question) is None


def test_the_tutor_never_says_that_she_is_a_person() -> None:
    for question in ("Você é humana?", "Você tem filhos?", "Você tem sentimentos?", "Quantos anos você tem?"):
        known = known_answer(question)
        assert known is not None
        assert "programa" in known[0]


def test_what_the_learner_told_comes_before_what_the_tutor_is() -> None:
    earlier = ("Eu me chamo Hans e moro na Tijuca.",)
    said = "Você lembra onde eu moro?"
    made = plan(Said(said, said, "A2", utterances=earlier), follow_ups=True)
    assert "Tijuca" in made.begin
