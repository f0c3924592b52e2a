"""Tenses of Portuguese verbs: the irregular ones from `data/teaching/word_forms.json`, the others by their endings."""

from __future__ import annotations

import re
from typing import Literal

from serve_app.teaching.word_forms import forms

Tense = Literal["present", "past", "imperfect", "future"]

PERSONS = ("eu", "você", "nós", "eles")


def conjugate(infinitive: str, tense: Tense) -> tuple[str, ...] | None:
    """Four forms, for each of `PERSONS`. None: no infinitive."""
    if infinitive not in forms().verbs and not re.search(r"\w[aei]r$", infinitive):
        return None
    if tense == "future":
        return tuple(f"{go} {infinitive}" for go in forms().verbs["ir"]["present"])
    stem, vowel = infinitive[:-2], infinitive[-2]
    known = forms().verbs.get(infinitive)
    if tense == "imperfect":
        return _imperfect(known["imperfect"] if known else stem + ("ava" if vowel == "a" else "ia"))
    if known is not None:
        return tuple(known["present"] if tense == "present" else known["past"])
    if tense == "present":
        weak = "e" if vowel != "a" else "a"
        return _first(stem, vowel, "o") + "o", stem + weak, f"{stem}{vowel}mos", f"{stem}{weak}m"
    third = {"a": "ou", "e": "eu", "i": "iu"}[vowel]
    first = _first(stem, vowel, "e") + "ei" if vowel == "a" else stem + "i"
    return first, stem + third, f"{stem}{vowel}mos", f"{stem}{vowel}ram"


def _first(stem: str, vowel: str, before: str) -> str:
    """The stem as it is spelt before another vowel: "fiquei", "cheguei", "comecei", "conheço", "dirijo"."""
    if vowel == "a" and before == "e":
        for ending, new in (("ç", "c"), ("c", "qu"), ("g", "gu")):
            if stem.endswith(ending):
                return stem[:-1] + new
    if vowel != "a" and before == "o":
        for ending, new in (("gu", "g"), ("c", "ç"), ("g", "j")):
            if stem.endswith(ending):
                return stem.removesuffix(ending) + new
    return stem


def _imperfect(first: str) -> tuple[str, ...]:
    """The forms for that of "eu": "falava" -> "falávamos", "falavam"; "tinha" -> "tínhamos"."""
    ours = first
    for ending, stressed in (("ava", "áva"), ("inha", "ínha"), ("unha", "únha"), ("era", "éra"), ("ia", "ía")):
        if first.endswith(ending):
            ours = first.removesuffix(ending) + stressed
            break
    return first, first, f"{ours}mos", f"{first}m"
