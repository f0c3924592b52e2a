"""Errors in words that were heard well, and in words that were not."""

from __future__ import annotations

from serve_app.protocols import Word
from serve_app.teaching.error_rules import find_errors
from serve_app.teaching.heard_errors import sure_errors

SAID = "Eu tem um gato e a problema é grande."


def test_a_word_that_was_heard_badly_is_not_corrected() -> None:
    words = [Word(word, 0, 1, 0.3 if word == "tem" else 0.9) for word in SAID.split()]
    assert [error.said for error in find_errors(SAID)] == ["tem", "a problema"]
    assert [error.said for error in sure_errors(SAID, words)] == ["a problema"]


def test_without_words_all_errors_count() -> None:
    assert sure_errors(SAID, ()) == find_errors(SAID)
