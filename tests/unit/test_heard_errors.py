"""Errors in words that were heard well, and in words that were not."""

from __future__ import annotations

from serve_app.protocols import Word
from serve_app.teaching.error_rules import find_errors
from serve_app.teaching.heard_errors import sure_errors, surely_heard
from serve_app.teaching.plan import Said
from serve_app.teaching.planner import plan
from serve_app.teaching.utterance_kind import kind_of

SAID = "Eu tem um gato e a problema é grande."


def test_a_word_that_was_heard_badly_is_not_corrected() -> None:
    words = [Word(word, 0, 1, 0.3 if word == "tem" else 0.9) for word in SAID.split()]
    assert [error.said for error in find_errors(SAID)] == ["tem", "a problema"]
    assert [error.said for error in sure_errors(SAID, words)] == ["a problema"]


def test_without_words_all_errors_count() -> None:
    assert sure_errors(SAID, ()) == find_errors(SAID)


def test_no_mood_rests_on_a_word_that_was_heard_badly() -> None:
    said = "O morto em Lisboa."
    for probability, kind in ((0.95, "grave"), (0.3, "neutral")):
        words = [Word("O", 0, 0.1, 0.2), Word("morto", 0.1, 0.5, probability), Word("em", 0.5, 0.6, 0.9)]
        assert kind_of(said, surely_heard(said, words)) == kind, probability


def test_a_doubtful_denial_makes_no_mood_and_small_words_may_be_doubtful() -> None:
    said = "Meu avô não morreu."
    words = [Word(one, 0, 0.1, 0.2 if one == "não" else 0.9) for one in ("Meu", "avô", "não", "morreu.")]
    assert kind_of(said, surely_heard(said, words)) == "neutral"
    said = "Eu perdi o emprego."
    words = [Word(one, 0, 0.1, 0.2 if one == "o" else 0.9) for one in ("Eu", "perdi", "o", "emprego.")]
    assert kind_of(said, surely_heard(said, words)) == "grave"


def test_the_plan_keeps_to_what_was_heard_well() -> None:
    said = "O morto em Lisboa."
    sure = plan(Said(said, said, "A1", sure=said), follow_ups=True)
    unsure = plan(Said(said, said, "A1", sure="O … em Lisboa."), follow_ups=True)
    assert sure.kind == "grave"
    assert unsure.kind == "neutral"
    assert unsure.opening != sure.opening
