"""The questions from the list: `serve_app.teaching.follow_ups` and its data."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest

from bench.tutor_conversations import conversations
from serve_app.protocols import LEVELS
from serve_app.teaching.follow_ups import Topic, follow_up, topics
from serve_app.teaching.utterance_kind import kind_of

BAD_NEWS = (
    "Ontem meu avô morreu.",
    "Minha avó, que me ensinou a dançar, está com Alzheimer.",
    "Eu passei duas semanas no hospital.",
    "Infelizmente, fui demitido da editora.",
    "Eu está muito cansado hoje.",
    "Eu reprovei no exame.",
    "Perdi minha carteira com todo o dinheiro.",
    "Roubaram meu celular no ônibus.",
    "O pedreiro sumiu e levou o meu dinheiro.",
)
MOST_WORDS = {"A": 8, "B": 14, "C": 20}


def asked(utterance: str, *, level: str = "A2", replies: tuple[str, ...] = (), before: str = "") -> str:
    return follow_up(utterance, kind_of(utterance), level, replies, before)


def of(name: str) -> list[Topic]:
    return [topic for topic in topics() if topic.topic == name]


@pytest.mark.parametrize("topic", topics(), ids=lambda topic: f"{topic.topic}-{topic.mood}")
def test_the_questions_can_be_asked_as_they_are(topic: Topic) -> None:
    for band, questions in topic.questions.items():
        assert len(set(questions)) == len(questions) >= 4
        for question in questions:
            assert re.fullmatch(r"[A-ZÀ-Ú][^.!?]*\?", question), question
            assert len(question.split()) <= MOST_WORDS[band], question
            assert not re.search(r"\b(eu|meu|minha|nós)\b", question, re.IGNORECASE), question


def test_every_topic_has_questions_for_every_level() -> None:
    assert {"past", "present", "future", "opinion", "bad", "good", "word"} <= {t.topic for t in topics() if not t.words}
    for topic in topics():
        assert {"A", "B"} <= set(topic.questions), topic.topic


def test_what_was_said_decides_the_topic() -> None:
    for said, name in {
        "Eu trabalho como enfermeira num hospital grande.": "work",
        "Meu cachorro gosta de dormir no sofá.": "pet",
        "Ontem eu cozinhei feijoada com meus amigos.": "cook",
    }.items():
        question = asked(said)
        assert any(name in topic.topic and question in topic.questions["A"] for topic in topics()), (said, question)


@pytest.mark.parametrize("said", BAD_NEWS)
@pytest.mark.parametrize("level", LEVELS)
def test_bad_news_get_a_question_for_bad_news(said: str, level: str) -> None:
    gentle = {
        question for topic in topics() if topic.mood == "bad" for of in topic.questions.values() for question in of
    }
    gentle |= {question for questions in of("bad")[0].questions.values() for question in questions}
    assert asked(said, level=level) in gentle


@pytest.mark.parametrize("level", LEVELS)
def test_no_question_comes_twice_and_their_first_words_change(level: str) -> None:
    replies: list[str] = []
    for _ in range(12):
        replies.append(f"Ah, entendi. {asked('Eu trabalho em um banco.', level=level, replies=tuple(replies))}")
    questions = [reply.removeprefix("Ah, entendi. ") for reply in replies]
    assert max(Counter(questions).values()) == 1
    assert all(one.split()[0] != other.split()[0] for one, other in pairwise(questions))


def test_a_short_answer_goes_on_with_the_topic_before() -> None:
    work = asked("Eu trabalho em um banco.")
    assert asked("Sim.", before="Eu trabalho em um banco.") == work
    assert asked("Sim.") != work


NO_OBJECT = re.compile(r"\b(?:tomar|toma|ouvir|ouve|beber|bebe|comprar|usar|assistir|assiste|visitar)\?$")
GAP = re.compile(r"\b(?:um|uma|uns|umas)(?: b[oa][mans]*)? (?:n[ao]s?|em|d[aeo]s?|com|por|para)\b|\{|_|\s\?")
MISFITS = (
    ("Meu marido trabalha em uma loja de sapato.", "Foi caro?"),
    ("Eu quero trabalhar na cozinha.", "A que horas começa o trabalho?"),
    ("Minha casa é pequena mas bonita.", "Como é a sua casa?"),
    ("A gente tem que convencer elas a voltar para a escola.", "Por que você escolheu esse curso?"),
    ("Um gato é preto, outro gato é branco.", "O que ele gosta de comer?"),
    ("Eu gosto de Recife.", "Com quem você viaja?"),
    ("No mês passado um carro bateu em mim e quebrei o braço.", "Há quanto tempo isso começou?"),
    ("Se eu tivesse mais tempo, eu faria exercício.", "O que o médico disse?"),
    ("O mais difícil é que as famílias confiem na gente.", "Com que frequência vocês se veem?"),
)


def asked_in_turn(said: str, level: str) -> list[str]:
    """All questions that the list has for an utterance, in the order in which they come."""
    replies: list[str] = []
    while (question := asked(said, level=level, replies=tuple(replies))) not in ("", *replies):
        replies.append(question)
    return replies


def test_a_question_on_a_topic_has_its_word_in_what_was_said() -> None:
    """Every template that the development half can get."""
    words: dict[str, list[str]] = {}
    for topic in topics():
        for question in (one for of in topic.questions.values() for one in of):
            words.setdefault(question, []).extend(topic.words or [""])
    for conversation in conversations("development"):
        for said in (line.said for line in conversation.lines):
            for question in asked_in_turn(said, conversation.level):
                assert any(word in said.lower() for word in words[question]), (said, question)


def test_no_question_has_a_gap() -> None:
    for topic in topics():
        for question in (one for questions in topic.questions.values() for one in questions):
            assert not GAP.search(question), question
            assert not NO_OBJECT.search(question) or re.search(r"\b[Qq]ue\b", question), question


@pytest.mark.parametrize(("said", "question"), MISFITS)
@pytest.mark.parametrize("level", LEVELS)
def test_what_a_question_takes_for_granted_was_said(said: str, question: str, level: str) -> None:
    assert question not in asked_in_turn(said, level)


def test_what_is_told_of_another_person_is_asked_of_them() -> None:
    assert re.search(r"\bela\b|assim|disso", asked("Minha esposa é professora."))
    assert re.search(r"\bele\b|assim|disso", asked("Meu vizinho toca piano toda noite."))
    assert "você gosta do seu trabalho" not in asked("Minha esposa é professora.").lower()


def test_when_it_was_is_not_what_it_was_about() -> None:
    assert asked("No verão eu trabalhei como voluntária numa fazenda.", level="B1") not in {
        question for topic in of("weather") for question in topic.questions["B"]
    }


def test_somebody_elses_animals_are_not_asked_about_as_the_learners_own() -> None:
    assert " ele " not in asked("Tinha muitos animais lá, galinhas, cabras e um burro.", level="B1")
