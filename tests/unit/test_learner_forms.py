"""What a learner may have said in place of a right word."""

from __future__ import annotations

import re

import pytest

from serve_app.engines.stt.learner_forms import slips


def said(text: str) -> set[str]:
    """Each slip of a text as `word -> learner's form`."""
    pieces = re.findall(r"[\w-]+|[^\w\s]", text)
    return {f"{pieces[slip.place]} -> {slip.said}" for slip in slips(pieces)}


@pytest.mark.parametrize(
    ("text", "slip"),
    [
        ("Eu tenho um gato.", "tenho -> tem"),
        ("Eu tenho um gato.", "tenho -> ter"),
        ("Eu não gosto de peixe.", "gosto -> gosta"),
        ("Eu cheguei tarde.", "cheguei -> chegou"),
        ("Eu conheço a Maria.", "conheço -> conhece"),
        ("A gente gosta de vinho.", "gosta -> gostamos"),
        ("Nós moramos aqui.", "moramos -> mora"),
        ("Os meus filhos estudam de manhã.", "estudam -> estuda"),
        ("Minha mãe cozinha bem.", "cozinha -> cozinho"),
        ("Moro em uma cidade pequena.", "uma -> um"),
        ("Minha mãe é médica.", "Minha -> meu"),
        ("A casa é pequena.", "pequena -> pequeno"),
        ("Eu moro no Brasil.", "no -> em"),
        ("Eu gosto do clima.", "do -> da"),
    ],
)
def test_a_likely_form_of_a_learner(text: str, slip: str) -> None:
    assert slip in said(text)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        pytest.param("Tenho um gato.", "Tenho", id="without-a-subject-another-person-is-no-error"),
        pytest.param("Se quiser, tem bolo.", "tem", id="nor-in-a-clause-of-its-own"),
        pytest.param("Eles têm um carro.", "têm", id="a-form-of-the-same-sound"),
        pytest.param("Eu estou cansada.", "cansada", id="nobody-knows-the-gender-of-a-speaker"),
        pytest.param("Estou cansado.", "cansado", id="nor-without-a-pronoun"),
        pytest.param("O que você faz?", "O", id="no-article"),
        pytest.param("Eu tenho uma.", "uma", id="no-noun-follows"),
    ],
)
def test_no_other_form_of_a_word(text: str, word: str) -> None:
    assert not [slip for slip in said(text) if slip.startswith(f"{word} ->")]
