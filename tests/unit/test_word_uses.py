"""How words are used, with examples, synonyms and sounds: `serve_app.teaching.word_uses`."""

from __future__ import annotations

import pytest

from serve_app.teaching.plan import Said
from serve_app.teaching.planner import plan
from serve_app.teaching.word_questions import answer
from serve_app.teaching.word_uses import example_of

ANSWERS = {
    "Qual é o sinônimo de 'bonito'?": 'Em vez de "bonito" a gente diz "lindo" ou "belo".',
    "Qual é um sinônimo de 'bonita'?": 'Em vez de "bonita" a gente diz "linda" ou "bela".',
    "Está certo dizer 'nós vai amanhã'?": 'A gente diz "nós vamos amanhã".',
    "Qual é o certo: 'fazem dois anos' ou 'faz dois anos'?": 'A gente diz "faz dois anos".',
    "Se diz 'a gente vai' ou 'a gente vamos'?": 'A gente diz "a gente vai".',
    "Qual é o particípio de 'abrir'?": 'O particípio de "abrir" é "aberto".',
    "Existe uma palavra em português para 'windmill'?": 'Em português, "windmill" é "o moinho de vento".',
    "Posso dizer 'eu vi ela'?": 'Em "eu vi ela" eu não vejo nenhum erro.',
    "Como se chama a pessoa que conserta carros?": 'A gente diz "o mecânico".',
    "Qual é a palavra para o lugar onde se compra remédio?": 'A gente diz "a farmácia".',
    "Qual é a diferença entre 'ônibus' e 'autocarro'?": (
        'É a mesma coisa: no Brasil "ônibus", em Portugal "autocarro".'
    ),
    "'Sair' e 'deixar' são a mesma coisa?": 'A gente diz "eu saí de casa", mas "eu deixei o livro em casa".',
}


@pytest.mark.parametrize(("question", "text"), ANSWERS.items())
def test_a_question_about_use_is_answered(question: str, text: str) -> None:
    found = answer(question)
    assert found is not None
    assert (found.text, found.whole) == (text, True)


@pytest.mark.parametrize("word", ["apesar de", "embora", "saudade", "talvez", "enquanto"])
def test_an_example_holds_the_word(word: str) -> None:
    for question in (f"Você pode me dar um exemplo com '{word}'?", f"Faz uma frase com a palavra '{word}'."):
        found = answer(question)
        assert found is not None
        assert found.text.startswith("Por exemplo: ")
        assert word in found.text.lower()


def test_a_model_may_write_an_example_that_the_data_lacks() -> None:
    said = "Faz uma frase com a palavra 'guindaste'."
    made = plan(Said(said, said, "A2"), follow_ups=True)
    assert made.begin.endswith("Por exemplo: Guindaste")
    assert made.form is not None
    assert made.form.sentence
    assert made.end.endswith("?")


def test_a_word_without_an_example_has_none() -> None:
    assert example_of("zorbing") is None


@pytest.mark.parametrize("said", ["Como eu posso dizer 'to get used to'?", "Ele disse uma frase com raiva."])
def test_other_questions_are_left_alone(said: str) -> None:
    found = answer(said)
    assert found is None or not found.text.startswith(("Por exemplo", 'Em "'))
