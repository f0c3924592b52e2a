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
]


@pytest.mark.parametrize(("question", "utterances", "told"), CASES)
def test_the_answer_is_what_was_told_not_what_was_asked(question: str, utterances: list[str], told: str) -> None:
    assert answer_from(question, utterances) == told
