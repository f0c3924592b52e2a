"""What a learner said, said back to them: `serve_app.teaching.second_person` and `verbs`."""

from __future__ import annotations

import pytest

from serve_app.teaching.second_person import said_back, sentences
from serve_app.teaching.verbs import third_person, third_person_plural

WHOLE = {
    "Eu perdi minha carteira com todo meu dinheiro.": "Você perdeu sua carteira com todo seu dinheiro",
    "Mas eu gosto de cozinhar e moro em Lisboa.": "Você gosta de cozinhar e mora em Lisboa",
    "Me chamo Ana e sou da Itália.": "Você se chama Ana e é da Itália",
    "Moro em Recife e trabalho como médica.": "Você mora em Recife e trabalha como médica",
    "Não gosto de café.": "Você não gosta de café",
    "Hoje estou com dor de cabeça.": "Hoje você está com dor de cabeça",
    "No domingo passado fui à praia com meus amigos.": "No domingo passado você foi à praia com seus amigos",
    "A gente foi ao cinema ontem e gostamos muito.": "Vocês foram ao cinema ontem e gostaram muito",
    "Nós comemos um sorvete ontem.": "Vocês comeram um sorvete ontem",
    "Nós moramos em Berlim.": "Vocês moram em Berlim",
    "Minha irmã me deu um livro.": "Sua irmã te deu um livro",
    "O problema é que o meu chefe grita e eu não durmo.": "O problema é que o seu chefe grita e você não dorme",
    "Acabei de ler um romance e achei a ironia boa.": "Você acabou de ler um romance e achou a ironia boa",
    "Pois é. Infelizmente, fui demitido.": "Infelizmente, você foi demitido",
    "Se eu tivesse previsto a crise, teria me preparado.": "Se você tivesse previsto a crise, teria se preparado",
    "Eu acordei tarde, perdi o ônibus e cheguei atrasado.": "Você acordou tarde, perdeu o ônibus e chegou atrasado",
    "Quando eu era criança, eu brincava na rua.": "Quando você era criança, você brincava na rua",
    "Semana que vem eu vou viajar para a Bahia.": "Semana que vem você vai viajar para a Bahia",
    "Eu tem um gato.": "Você tem um gato",
    "Eu está cansado.": "Você está cansado",
}


@pytest.mark.parametrize(("said", "back"), WHOLE.items())
def test_a_sentence_about_oneself_is_said_back_whole(said: str, back: str) -> None:
    turned = said_back(sentences(said)[-1])
    assert (turned.text, turned.whole) == (back, True)


@pytest.mark.parametrize(
    "said", ["Qual é a diferença entre ser e estar?", "O tempo está bom.", "Sim.", "Tchau!", "Em que cidade moramos?"]
)
def test_what_is_not_about_the_learner_is_not_said_back_whole(said: str) -> None:
    assert not said_back(said).whole


def test_where_the_tutor_is_spoken_of_only_the_beginning_is_sure() -> None:
    turned = said_back("Eu espero que você tenha um bom dia.")
    assert (turned.text, turned.whole) == ("Você espera que", False)


@pytest.mark.parametrize(
    ("form", "third"),
    [
        *(("moro", "mora"), ("vivo", "vive"), ("abro", "abre"), ("conheço", "conhece"), ("começo", "começa")),
        *(
            ("viajo", "viaja"),
            ("comprei", "comprou"),
            ("fiquei", "ficou"),
            ("cheguei", "chegou"),
            ("comecei", "começou"),
        ),
        *(
            ("comi", "comeu"),
            ("parti", "partiu"),
            ("construí", "construiu"),
            ("morarei", "morará"),
            ("morava", "morava"),
        ),
        *(("sou", "é"), ("faço", "faz"), ("trouxe", "trouxe"), ("leio", "lê"), ("durmo", "dorme"), ("vai", "vai")),
    ],
)
def test_a_form_of_eu_becomes_that_of_voce(form: str, third: str) -> None:
    assert third_person(form) == third


@pytest.mark.parametrize("word", ["aqui", "lei", "táxi", "hoje", "gosto", "visto", "trouxe"])
def test_without_eu_only_what_can_be_nothing_else_is_a_verb(word: str) -> None:
    assert third_person(word, after_eu=False) is None


@pytest.mark.parametrize(
    ("form", "past", "plural"),
    [
        *(
            ("comemos", False, "comem"),
            ("comemos", True, "comeram"),
            ("falamos", True, "falaram"),
            ("fomos", False, "foram"),
        ),
        *(("estávamos", False, "estavam"), ("comíamos", False, "comiam"), ("fôssemos", True, "fossem")),
        *(("comeu", False, "comeram"), ("falou", False, "falaram"), ("gosta", False, "gostam"), ("vai", False, "vão")),
    ],
)
def test_a_form_of_nos_or_a_gente_becomes_that_of_voces(form: str, past: bool, plural: str) -> None:
    assert third_person_plural(form, past=past) == plural
