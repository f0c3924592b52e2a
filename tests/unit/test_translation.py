"""English words that no list holds: `serve_app.teaching.translation`."""

from __future__ import annotations

import pytest

from serve_app.teaching.translation import into_english, into_portuguese
from serve_app.teaching.word_questions import answer


@pytest.mark.parametrize(
    ("english", "portuguese"),
    [
        ("lawn mower", "o cortador de grama"),
        ("thumb", "o polegar"),
        ("to whisper", "sussurrar"),
        ("the doorbell", "a campainha"),
        ("zorbing", None),
        ("checkmate", None),
        ("", None),
    ],
)
def test_only_what_comes_back_the_same_is_believed(english: str, portuguese: str | None) -> None:
    assert into_portuguese(english) == portuguese


@pytest.mark.parametrize(("portuguese", "english"), [("andaime", "scaffolding"), ("saudade", None), ("zorba", None)])
def test_a_portuguese_word_is_told_in_english(portuguese: str, english: str | None) -> None:
    assert into_english(portuguese) == english


def test_a_question_for_a_word_that_no_list_holds_is_answered() -> None:
    found = answer("Como se diz 'scaffolding' em português?")
    assert found is not None
    assert (found.text, found.whole) == ('Em português, "scaffolding" é "o andaime".', True)
