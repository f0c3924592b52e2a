"""Simple questions of fact: `serve_app.teaching.general_knowledge`."""

from __future__ import annotations

import pytest

from serve_app.teaching.general_knowledge import known_fact
from serve_app.teaching.plan import Said
from serve_app.teaching.planner import plan

ANSWERS = {
    "Qual é a capital do Brasil?": "A capital do Brasil é Brasília.",
    "E qual é a capital da Bahia?": "A capital da Bahia é Salvador.",
    "Qual é a capital de Portugal?": "A capital de Portugal é Lisboa.",
    "Qual é a capital dos Estados Unidos?": "A capital dos Estados Unidos é Washington.",
    "Qual é a moeda do Japão?": "A moeda do Japão é o iene.",
    "Que língua se fala na Áustria?": "A língua da Áustria é alemão.",
    "Que línguas se falam no Canadá?": "As línguas do Canadá são inglês e francês.",
    "Qual é a capital do Mato Grosso do Sul?": "A capital de Mato Grosso do Sul é Campo Grande.",
    "Quais são os dias da semana?": "Os dias são segunda, terça, quarta, quinta e sexta, e depois sábado e domingo.",
    "Quantos meses tem um ano?": "Um ano tem doze meses.",
    "O que os brasileiros comem no café da manhã?": "De manhã muita gente come pão com manteiga e toma café com leite.",
    "Preciso dar gorjeta no restaurante?": (
        "No Brasil os dez por cento já vêm na conta de muitos restaurantes, e não é preciso dar mais."
    ),
    "Que horas são?": "Eu não vejo o relógio nem o calendário.",
}
NOT_KNOWN = (
    *("Qual é a capital do meu país?", "Que língua eu falo?", "Qual é a moeda da Bahia?", "Quem é o presidente?"),
    *("A capital do Brasil é Brasília.", "Eu moro na capital da França.", "Qual é a capital de Nárnia?"),
)


@pytest.mark.parametrize(("question", "told"), ANSWERS.items())
def test_facts(question: str, told: str) -> None:
    assert known_fact(question) == told


@pytest.mark.parametrize("said", NOT_KNOWN)
def test_what_the_data_lacks_is_not_answered_from_it(said: str) -> None:
    assert known_fact(said) is None


def test_the_reply_is_whole_and_asks_on() -> None:
    said = "Qual é a capital da França?"
    made = plan(Said(said, said, "A2"), follow_ups=True)
    assert made.whole
    assert "A capital da França é Paris. E no seu país, como é?" in made.begin
