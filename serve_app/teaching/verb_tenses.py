"""Tenses of Portuguese verbs: the irregular ones from `data/teaching/word_forms.json`, the others by their endings."""

from __future__ import annotations

import re
from typing import Literal

from serve_app.teaching.word_forms import forms

Tense = Literal["present", "past", "imperfect", "future", "subjunctive"]

PERSONS = ("eu", "você", "nós", "eles")


def conjugate(infinitive: str, tense: Tense) -> tuple[str, ...] | None:
    """Four forms, for each of `PERSONS`. None: no infinitive."""
    if infinitive not in forms().verbs and not re.search(r"\w[aei]r$", infinitive):
        return None
    if tense == "future":
        return tuple(f"{go} {infinitive}" for go in forms().verbs["ir"]["present"])
    stem, vowel = infinitive[:-2], infinitive[-2]
    known = forms().verbs.get(infinitive)
    if tense == "subjunctive":
        return _subjunctive(infinitive)
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


_SUBJUNCTIVE = {"ser": "sej", "estar": "estej", "saber": "saib", "haver": "haj", "querer": "queir"}
"""Stems of the present subjunctive that do not come from the form of "eu"."""


def _subjunctive(infinitive: str) -> tuple[str, ...] | None:
    """ "Que eu possa, que você possa", from "eu posso"."""
    if infinitive in ("dar", "ir"):
        return ("dê", "dê", "demos", "deem") if infinitive == "dar" else ("vá", "vá", "vamos", "vão")
    vowel, stem = ("e" if infinitive.endswith("ar") and infinitive != "estar" else "a"), _SUBJUNCTIVE.get(infinitive)
    if stem is None:
        present = conjugate(infinitive, "present")
        if present is None or not present[0].endswith("o"):
            return None
        stem = _first(infinitive[:-2], "a", "e") if vowel == "e" else present[0][:-1]
    one = f"{stem}{vowel}"
    return one, one, f"{one}mos", f"{one}m"


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
