"""The form of a Portuguese word that the glossary has: "janelas" -> "janela", "cansada" -> "cansado", "fui" -> "ir"."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from serve_app.teaching.glossary import portuguese_words, without_article
from serve_app.teaching.verb_tenses import Tense, conjugate
from serve_app.teaching.word_answer import fold
from serve_app.teaching.word_forms import feminine, plural

_TENSES: tuple[Tense, ...] = ("present", "past", "imperfect")


def base_form(word: str) -> str | None:
    """The word of the glossary that `word` is a form of; None where it is none that we know."""
    return _forms().get(fold(word))


def verb_forms(verb: str) -> Iterator[str]:
    """Present, past, imperfect, gerund and regular participle of an infinitive; nothing where it is no infinitive."""
    for tense in _TENSES:
        yield from conjugate(verb, tense) or ()
    if conjugate(verb, "present"):
        participle = verb[:-2] + ("ad" if verb.endswith("ar") else "id")
        yield from (f"{verb[:-1]}ndo", f"{participle}o", f"{participle}a")


@cache
def _forms() -> dict[str, str]:
    """{folded form: word of the glossary}"""
    found: dict[str, str] = {}
    for portuguese, is_verb in portuguese_words():
        word = without_article(portuguese)
        if " " in word:
            continue
        other = verb_forms(word) if is_verb else _of_a_noun(word, adjective=word == portuguese)
        for form in other:
            found.setdefault(fold(form), word)
    return found


def _of_a_noun(word: str, *, adjective: bool) -> Iterator[str]:
    yield plural(word)
    if adjective and (hers := feminine(word)) is not None:
        yield from (hers, plural(hers))
