"""What a learner asks the tutor to do is done, and what only sounds like it is not."""

from __future__ import annotations

import pytest

from serve_app.teaching.plan import Said
from serve_app.teaching.planner import plan
from serve_app.teaching.requests import requested

DONE = {
    "Me ensina uma gíria nova.": "quer dizer",
    "Você pode me ensinar uma palavra nova?": '"Saudade"',
    "Queria aprender uma expressão típica.": "quer dizer",
    "Você sabe alguma expressão brasileira?": "quer dizer",
    "Me faz uma pergunta sobre comida.": "Claro, vamos lá.",
    "Faça outra pergunta, por favor.": "Claro, vamos lá.",
    "Podemos mudar de assunto?": "mudar de assunto",
    "Oi, vamos falar de outra coisa?": "mudar de assunto",
    "Quero falar sobre futebol.": "falar disso",
    "Vamos conversar sobre viagens?": "falar disso",
    "Corrige os meus erros, tá?": "eu digo a frase certa",
    "Pode me corrigir quando eu falar errado?": "eu digo a frase certa",
    "Pode me avisar quando eu errar?": "eu digo a frase certa",
    "Soletra a palavra chuva.": "cê, agá, u, vê, á",
    "De onde vem a palavra xícara?": "pelo espanhol",
    "Qual é a origem da palavra pipoca?": "do tupi",
    "Qual é o diminutivo de flor?": '"florzinha"',
    "Qual é o diminutivo de cachorro?": '"cachorrinho"',
    "Qual o diminutivo de amigo?": '"amiguinho"',
    "Qual o diminutivo de barco?": '"barquinho"',
    "Você pode contar uma piada?": "?",
    "Me conta uma história curta.": "Um menino",
    "Conta uma curiosidade do Brasil!": "nove países",
}
NOT_ASKED = (
    "Ontem minha mãe me contou uma história do meu avô.",
    "Meu avô gostava de me contar histórias.",
    "Eu queria contar uma história para você.",
    "Eu ensino português numa escola.",
    "Na escola eu ensino uma palavra nova por dia.",
    "Meu professor corrige meus erros.",
    "Eu gosto de falar de política.",
    "Eu falei com o meu chefe sobre o trabalho.",
    "Eu quero falar com meu chefe sobre o salário.",
    "Minha mãe vai falar sobre o casamento.",
    "Ela quer me falar de uma coisa.",
    "Ele sempre conta piadas no trabalho.",
    "Ele pediu para mudar de assunto.",
    "Quero aprender a tocar violão.",
    "Eu preciso mudar de emprego.",
    "Eu vou falar com minha mãe.",
    "O diminutivo de casa é casinha?",
)


@pytest.mark.parametrize(("said", "holds"), DONE.items())
def test_a_request_is_granted_by_a_whole_reply_that_ends_with_a_question(said: str, holds: str) -> None:
    made = plan(Said(said, said, "A2"), follow_ups=True)
    assert holds in made.begin
    assert made.whole
    assert made.begin.endswith("?")


@pytest.mark.parametrize("said", NOT_ASKED)
def test_what_is_told_is_no_request(said: str) -> None:
    assert requested(said) is None


def test_nothing_is_told_twice() -> None:
    said, replies = "Conta outra piada!", []
    for _ in range(4):
        replies.append(plan(Said(said, said, "A2", tuple(replies)), follow_ups=True).begin)
    jokes = [reply.split("?")[1] for reply in replies]
    assert len(set(jokes)) == 4


def test_the_origin_of_a_word_that_is_not_known_is_not_invented() -> None:
    made = plan(Said("Qual é a origem da palavra cadeira?", "", "A2"), follow_ups=True)
    assert not made.begin.startswith("Eu acho")
    assert made.whole


def test_a_question_on_a_topic_is_on_that_topic() -> None:
    said = "Me faz uma pergunta sobre comida."
    assert "prato" in plan(Said(said, said, "A2"), follow_ups=True).begin


def test_without_follow_ups_the_model_grants_what_it_can() -> None:
    assert "nove países" not in plan(Said("Conta uma curiosidade!", "Conta uma curiosidade!", "A2")).begin
