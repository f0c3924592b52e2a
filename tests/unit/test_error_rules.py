"""The error rules on labelled utterances: `serve_app.teaching.error_rules`."""

from __future__ import annotations

import itertools
import json

import pytest
from support.paths import ROOT

from bench.correction import LABELLED, score
from serve_app.teaching.error_rules import find_errors, mended

UTTERANCES = json.loads(LABELLED.read_text("utf-8"))


def test_what_is_corrected_is_wrong_and_most_of_it_is_found() -> None:
    figures = score(UTTERANCES)
    assert figures["utterances"] >= 150
    assert figures["precision"] >= 0.95, figures["wrong"]
    assert figures["recall"] >= 0.9, figures["missed"]


def test_sentences_written_without_a_look_at_the_rules_are_seldom_made_wrong() -> None:
    figures = score(json.loads((ROOT / "bench/data/learner_sentences.json").read_text("utf-8")))
    assert figures["utterances"] >= 200
    assert figures["precision"] >= 0.9, figures["wrong"]
    assert figures["recall"] >= 0.6, figures["missed"]


def test_what_is_right_is_left_as_it_is_also_beside_the_newer_rules() -> None:
    lines = json.loads((ROOT / "bench/data/learner_sentences_more.json").read_text("utf-8"))
    figures = score(lines)
    assert figures["utterances"] >= 200
    assert figures["precision"] >= 0.95, figures["wrong"]
    assert figures["recall"] >= 0.85, figures["missed"]
    right = [line["said"] for line in lines if line["said"] == line["right"]]
    assert [said for said in right if find_errors(said)] == []


@pytest.mark.parametrize(
    ("said", "better", "rule"),
    [
        ("Ontem eu vou ao mercado.", "fui", "past"),
        ("Semana passada eu tenho visto um filme.", "vi", "past"),
        ("Quando eu era criança, eu moro na Índia.", "morava", "past"),
        ("Se eu terei tempo, vou viajar.", "tiver", "if"),
        ("Assim que eu saber, eu te ligo.", "souber", "if"),
        ("Se eu manter o ritmo, consigo.", "mantiver", "if"),
        ("Ela quer que nós fazemos tudo.", "façamos", "subjunctive"),
        ("Eu queria que ele seja educado.", "fosse", "subjunctive"),
        ("Tomara que um dia eu me sinto em casa.", "sinta", "subjunctive"),
        ("O vizinho toca piano todo noite.", "toda", "gender"),
        ("Não é no mesma loja.", "na mesma", "gender"),
        ("Comprei um apartamento pequena.", "pequeno", "adjective"),
        ("Meu marido e eu gosta de filmes.", "gostamos", "person"),
        ("A viola do nosso amigo foi roubado.", "roubada", "adjective"),
        ("Minha esposa está professora.", "é", "being"),
        ("Os animais foram salvados.", "salvos", "participle"),
        ("Meu marido realizou que é caro.", "percebeu", "choice"),
        ("Em Rio o sotaque é diferente.", "No Rio", "country"),
        ("Eu abro porta.", "a porta", "article"),
        ("Eu gosto de isso.", "disso", "preposition"),
    ],
)
def test_errors_of_many_kinds_are_found(said: str, better: str, rule: str) -> None:
    assert [(error.better, error.rule) for error in find_errors(said)] == [(better, rule)]


def test_where_an_error_was_said_is_where_it_is_marked() -> None:
    lines = json.loads((ROOT / "tests/data/learner_errors_spoken.json").read_text("utf-8"))
    figures = score(lines)
    assert figures["utterances"] >= 400
    assert figures["precision"] >= 0.95, figures["wrong"]
    assert figures["recall"] >= 0.8, figures["missed"]
    places = [(line, error.span) for line in lines for error in find_errors(line["said"])]
    elsewhere = [
        line["said"]
        for line, (start, end) in places
        if not any(start < until and end > since for since, until in line.get("spans", []))
    ]
    assert elsewhere == []


@pytest.mark.parametrize(
    ("said", "better"),
    [
        ("Eu chegou tarde.", "cheguei"),
        ("Eu ficou em casa.", "fiquei"),
        ("Eu começou ontem.", "comecei"),
        ("Eu caiu na rua.", "caí"),
        ("Eu conseguiu.", "consegui"),
        ("Nós saiu cedo.", "saímos"),
        ("Eles caiu.", "caíram"),
        ("Ontem eu compra pão.", "comprei"),
    ],
)
def test_past_tenses_are_spelled_right(said: str, better: str) -> None:
    assert [error.better for error in find_errors(said)] == [better]


@pytest.mark.parametrize(
    "said", ["Como se diz perro?", "É o problema ou a problema?", "Qual é a diferença entre um viagem e uma viagem?"]
)
def test_words_that_are_asked_about_are_left_alone(said: str) -> None:
    assert find_errors(said) == []


@pytest.mark.parametrize("line", [line for line in UTTERANCES if line["better"]], ids=lambda line: line["said"])
def test_a_mended_utterance_has_no_error_left(line: dict[str, object]) -> None:
    said = str(line["said"])
    assert find_errors(mended(said, find_errors(said))) == []


def test_a_correction_tells_where_what_and_why() -> None:
    [error] = find_errors("Mas eu tem um gato.")
    assert "Mas eu tem um gato."[slice(*error.span)] == error.said == "tem"
    assert (error.better, error.rule) == ("tenho", "person")
    assert error.message == "Com “eu”, a gente diz “tenho”."
    assert 0 < error.confidence <= 1


@pytest.mark.parametrize(
    "said", ["O desemprego entre os jovens aumentou.", "Meus avós moram longe.", "Você e eu somos amigos."]
)
def test_what_only_looks_like_an_error_is_left_alone(said: str) -> None:
    assert find_errors(said) == []


def test_corrections_do_not_overlap() -> None:
    errors = find_errors("Yo tengo vinte e três ano e meu avó está en la playa.")
    assert all(one.span[1] <= other.span[0] for one, other in itertools.pairwise(errors))


def test_conversations_of_others_get_no_correction_where_nothing_is_wrong() -> None:
    """Of the development half of `bench.tutor_eval`, whose labels were written without these rules."""
    conversations = json.loads((ROOT / "bench/data/tutor_conversations.json").read_text("utf-8"))
    wrong = [
        (line["said"], [error.better for error in find_errors(line["said"])])
        for conversation in conversations
        for line in conversation["lines"]
        if not line.get("right") and not line.get("answer") and find_errors(line["said"])
    ]
    assert wrong == []
