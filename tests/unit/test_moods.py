"""Which statements tell bad news: `serve_app.teaching.moods`."""

from __future__ import annotations

import json

import pytest
from support.paths import ROOT

from serve_app.teaching.moods import mood_of
from serve_app.teaching.utterance_kind import kind_of

LABELLED = json.loads((ROOT / "bench/data/bad_news.json").read_text("utf-8"))
BAD = ("grave", "sad")


def test_bad_news_are_told_from_what_only_sounds_bad() -> None:
    told = [(line, mood_of(line["said"]) in BAD) for line in LABELLED]
    assert len(told) >= 200
    missed = [line["said"] for line, bad in told if line["bad"] and not bad]
    misread = [line["said"] for line, bad in told if bad and not line["bad"]]
    bad_news = sum(line["bad"] for line in LABELLED)
    assert len(missed) <= 0.05 * bad_news, missed
    assert len(misread) <= 0.05 * bad_news, misread


def test_bad_news_never_sound_like_good_ones() -> None:
    assert [line["said"] for line in LABELLED if line["bad"] and mood_of(line["said"]) == "glad"] == []


@pytest.mark.parametrize(
    ("said", "mood"),
    [
        ("Não estou triste.", "neutral"),
        ("O cachorro fugiu, mas já voltou.", "neutral"),
        ("No filme o pai dele morre.", "neutral"),
        ("Sou enfermeira e cuido de pessoas com câncer.", "neutral"),
        ("Se eu perder o emprego, volto para casa.", "neutral"),
        ("Assim que eu souber as datas, peço férias.", "neutral"),
        ("A minha sogra quer que o bebê se chame Gilberto.", "neutral"),
        ("Estou nervosa e feliz, amanhã é o meu casamento.", "neutral"),
        ("Estou triste, mas vou tentar de novo.", "sad"),
        ("Não fui promovida.", "sad"),
        ("Nosso vizinho teve um infarto.", "grave"),
        ("Meu filho nasceu ontem!", "glad"),
        ("Perdi o medo de dirigir!", "glad"),
    ],
)
def test_a_word_alone_does_not_make_the_mood(said: str, mood: str) -> None:
    assert mood_of(said) == mood


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Como se diz aquela coisa para andar? Em inglês é 'crutches'.", "question"),
        ("Quantas semanas eu fico com o gesso? Eu falei, não é?", "question"),
        ("Oi, tudo bem? Meu nome é Li Mei.", "neutral"),
        ("Sabe o que aconteceu? Perdi o emprego.", "grave"),
        ("Você viu? Roubaram o meu carro.", "sad"),
    ],
)
def test_a_question_counts_also_where_a_word_of_explanation_follows(said: str, kind: str) -> None:
    assert kind_of(said) == kind
