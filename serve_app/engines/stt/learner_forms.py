"""What a learner may have said in place of a right word: another person of the verb, the other gender, a preposition.

The words are in `serve_app/data/learner_forms.json`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from serve_app.package_data import data_file

Kind = Literal["person", "gender", "preposition"]

SAME_SOUND = frozenset({("têm", "tem"), ("vêm", "vem")})


@dataclass(frozen=True, slots=True)
class Slip:
    """A learner's form for the word at `place`, in lower case."""

    place: int
    said: str
    kind: Kind


@dataclass(frozen=True)
class _Forms:
    """The word lists, ready for look-ups. `verbs`: form -> (person, is past, forms of that tense, infinitive)."""

    words: dict[str, Any]
    verbs: dict[str, list[tuple[str, bool, dict[str, str], str]]] = field(default_factory=lambda: defaultdict(list))
    genders: dict[str, str] = field(default_factory=dict)
    adjectives: dict[str, str] = field(default_factory=dict)


PERSONS: tuple[str, ...] = ("eu", "ele", "nós", "eles")


@cache
def _forms() -> _Forms:
    forms = _Forms(json.loads(data_file("learner_forms.json").read_text("utf-8")))
    rows = dict(forms.words["irregular"]) | {verb: _regular(verb) for verb in forms.words["regular"]}
    for infinitive, row in rows.items():
        for past in (False, True):
            tense = dict(zip(PERSONS, row[4:] if past else row[:4], strict=True))
            for person, form in tense.items():
                forms.verbs[form].append((person, past, tense, infinitive))
    for one, other in forms.words["genders"]:
        forms.genders.update({one: other, other: one})
    for adjective in forms.words["adjectives"]:
        other = "boa" if adjective == "bom" else adjective[:-1] + "a"
        plural = {adjective + "s": other + "s", other + "s": adjective + "s"}
        forms.adjectives.update({adjective: other, other: adjective, **plural})
    return forms


def _regular(verb: str) -> list[str]:
    """Present and past of a regular verb, four persons each."""
    stem, vowel = verb[:-2], verb[-2]
    endings = {
        "a": ["o", "a", "amos", "am", "ei", "ou", "amos", "aram"],
        "e": ["o", "e", "emos", "em", "i", "eu", "emos", "eram"],
        "i": ["o", "e", "imos", "em", "i", "iu", "imos", "iram"],
    }[vowel]
    return [_spelled(stem, ending, vowel) for ending in endings]


def _spelled(stem: str, ending: str, vowel: str) -> str:
    """The stem keeps its sound before another vowel: chegar, cheguei; conhecer, conheço."""
    if vowel == "a" and ending[0] == "e":
        for sound, spelling in (("ç", "c"), ("c", "qu"), ("g", "gu")):
            if stem.endswith(sound):
                return stem[: -len(sound)] + spelling + ending
    if vowel != "a" and ending[0] == "o" and stem.endswith("c"):
        return stem[:-1] + "ç" + ending
    return stem + ending


def slips(pieces: Sequence[str]) -> Iterator[Slip]:
    """Every likely slip in a text cut into its words and punctuation marks."""
    plain = [piece.strip().lower() for piece in pieces]
    clause = 0
    for place, word in enumerate(plain):
        if not word[:1].isalpha():
            clause = place + 1
            continue
        before = plain[clause:place]
        after = plain[place + 1] if place + 1 < len(plain) else ""
        seen = {word}
        found: list[tuple[Kind, Iterator[str]]] = [
            ("person", _persons(word, before)),
            ("gender", _genders(word, before, after)),
            ("preposition", _prepositions(word, after)),
        ]
        for kind, forms in found:
            for said in forms:
                if said not in seen:
                    seen.add(said)
                    yield Slip(place, said, kind)


def _persons(word: str, before: Sequence[str]) -> Iterator[str]:
    forms = _forms()
    if word not in forms.verbs or not (subject := _subject(before)):
        return
    for person, past, tense, infinitive in forms.verbs[word]:
        if person != ("ele" if subject == "a gente" else subject):
            continue
        match subject:
            case "eu":
                yield tense["ele"]
                if not past:
                    yield infinitive
            case "ele":
                yield tense["eu"]
            case "a gente":
                yield tense["nós"]
            case "nós":
                yield tense["ele"]
            case _ if (word, tense["ele"]) not in SAME_SOUND:
                yield tense["ele"]


def _subject(before: Sequence[str]) -> str | None:
    """The person of the subject right before a verb, None if there is none that is sure."""
    words = _forms().words
    rest = list(before)
    while rest and rest[-1] in words["before the verb"]:
        rest.pop()
    if not rest:
        return None
    if rest[-2:] == ["a", "gente"]:
        return "a gente"
    for person, pronouns in words["subjects"].items():
        if rest[-1] in pronouns:
            return person
    if len(rest) >= 2 and rest[-2] in words["before a noun"]:
        return "ele"
    if len(rest) >= 2 and rest[-2] in words["before nouns"]:
        return "eles"
    return None


def _genders(word: str, before: Sequence[str], after: str) -> Iterator[str]:
    forms = _forms()
    if word in forms.genders and after[:1].isalpha() and after not in forms.words["no article"]:
        yield forms.genders[word]
    elif word in forms.adjectives and before and not _of_speaker(before):
        yield forms.adjectives[word]


def _of_speaker(before: Sequence[str]) -> bool:
    """Whether an adjective may be about a speaker, whose gender nobody knows: "eu estou cansada"."""
    words = _forms().words
    return before[0] in words["their verbs"] or not set(before).isdisjoint(words["speakers"])


def _prepositions(word: str, after: str) -> Iterator[str]:
    if after[:1].isalpha():
        yield from _forms().words["prepositions"].get(word, ())
