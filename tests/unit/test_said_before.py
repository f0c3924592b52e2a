"""What the learner said before answers what they ask about it."""

from __future__ import annotations

import pytest

from serve_app.teaching.said_before import answer_from

CASES = [
    (
        "De que cidade eu falei?",
        ["Eu gosto de Recife.", "Você já foi na Recife?"],
        'Você disse: "Eu gosto de Recife"',
    ),
    (
        "De qual autor eu falei?",
        ["Eu li um romance do Machado de Assis.", "Você acha que Capitu traiu o Bentinho?"],
        'Você disse: "Eu li um romance do Machado de Assis"',
    ),
    (
        "Quem é o autor do livro que eu estou lendo?",
        ["Estou lendo um livro sobre o samba.", "O autor chama Ruy Castro, você conhece ele?"],
        'Você disse: "O autor se chama Ruy Castro"',
    ),
    (
        "O que é que eu vendo na minha loja?",
        ["Eu abri uma loja pequena de chá.", "Ontem teve um incêndio na loja do lado e perdi metade do estoque."],
        "Você abriu uma loja pequena de chá",
    ),
    ("Como chama meu gato?", ["Eu tenho um gato, ele chama Bruno."], "Você tem um gato, ele se chama Bruno"),
    ("Em que cidade eu moro?", ["Eu moro em Porto Alegre.", "Tenho um irmão."], "Você mora em Porto Alegre"),
    ("Qual é o nome do meu cachorro?", ["Eu moro na Rússia.", "No inverno a Rússia é muito fria."], ""),
    ("Em que cidade eu moro?", ["Você mora em Recife?"], ""),
    (
        "Em que andar fica o meu apartamento novo?",
        ["Achei um apartamento novo.", "O apartamento é no terceiro andar e tem varanda."],
        'Você disse: "O apartamento é no terceiro andar e tem varanda"',
    ),
    (
        "Quantas semanas eu fico com o gesso? Eu falei, não é?",
        ["Caí de bicicleta.", "Agora eu estou com gesso, por seis semanas."],
        "Agora você está com gesso, por seis semanas",
    ),
    (
        "Há quantos anos eu moro no Brasil?",
        ["Depois de doze anos no Brasil, já não sei onde é a minha casa.", "Adoro a minha casa."],
        "Depois de doze anos no Brasil, você já não sabe onde é a sua casa",
    ),
    (
        "Em que cidade mesmo nos pediram três bis?",
        ["Em Ouro Preto, o público nos pediu três bis.", "Depois fomos dormir."],
        'Você disse: "Em Ouro Preto, o público nos pediu três bis"',
    ),
    (
        "Você lembra o nome do meu cachorro?",
        ["Eu moro com minha esposa e nosso cachorro Bobik.", "O cachorro desapareceu."],
        'Você disse: "Eu moro com minha esposa e nosso cachorro Bobik"',
    ),
    (
        "Como eu me chamo?",
        ["Eu me chamo Hans.", "Minha filha se chama Clara."],
        'Você disse: "Eu me chamo Hans"',
    ),
]


@pytest.mark.parametrize(("question", "utterances", "told"), CASES)
def test_the_answer_is_what_was_told_not_what_was_asked(question: str, utterances: list[str], told: str) -> None:
    assert answer_from(question, utterances) == told


@pytest.mark.parametrize(
    "asked",
    [
        "Pode me avisar quando a frase sair errada?",
        "A minha vizinha nunca concorda. Quantas patas tem uma aranha?",
        "Qual é a origem da palavra viagem? Eu acho linda.",
        "Sabes em que ano começou a viagem de Cabral? Eu já esqueci.",
    ],
)
def test_what_is_told_beside_a_question_is_not_what_is_asked(asked: str) -> None:
    told = ("Eu contei da viagem, e a frase saiu errada.", "A minha vizinha tem uma aranha, ela vive na varanda.")
    assert answer_from(asked, told) == ""
    assert answer_from("Onde eu moro? Você lembra?", ("Eu moro em Recife.",)) != ""
