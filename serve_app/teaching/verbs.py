"""Portuguese verb forms turned into another person: "moro" -> "mora", "fomos" -> "foram".

Endings decide, with a table of irregular verbs; which conjugation a form belongs to ("vivo": viver, not *vivar) is
decided by how frequent the possible infinitives are (wordfreq).
"""

from __future__ import annotations

import json
from functools import cache, lru_cache

from wordfreq import zipf_frequency

from serve_app.package_data import data_file

FREQUENT = 3.5
KNOWN = 2.0
"""Zipf frequency from which a word counts as an infinitive: fewer are misspellings and other languages."""

_UNLIKE_FIRST_PERSON = frozenset(("visto", "era", "disse", "trouxe", "houve", "rio", "consigo", "sinto", "vá"))
"""Forms in the table that are other words as well: taken as verbs only where "eu" stands before them."""

_OF_OTHERS = frozenset(("cai", "sai", "trai", "atrai", "distrai", "dói", "possui", "inclui", "conclui", "destrói"))
"""Forms of "ele" that end as those of "eu" do in the past: "cai poeira do teto"."""

_THE_SAME = ("a", "e", "am", "em", "eu", "iu", "ou")
"""Endings of forms that are those of "você" already: "morava", "fosse", and "eu mora", which a learner says."""

_PAST_PLURAL = {"ou": "aram", "eu": "eram", "iu": "iram"}


@cache
def irregular() -> dict[str, dict[str, str]]:
    """{"eu": {form of "eu": form of "você"}, "nós": {form of "nós" or "a gente": form of "vocês"}}"""
    return json.loads(data_file("teaching/irregular_verbs.json").read_text("utf-8"))


@cache
def _third_forms() -> frozenset[str]:
    return frozenset(irregular()["eu"].values())


def joined(stem: str, ending: str) -> str:
    """Stem and ending of a past tense as they are spelled: "fiquei", "cheguei", "comecei", "caí", "caíram"."""
    if ending == "ei":
        return {"c": f"{stem[:-1]}qu", "g": f"{stem}u", "ç": f"{stem[:-1]}c"}.get(stem[-1:], stem) + ending
    apart = ending.startswith("i") and stem.endswith(("a", "o", "u")) and not stem.endswith(("gu", "qu"))
    return f"{stem}í{ending[1:]}" if apart else stem + ending


@lru_cache(4096)
def is_infinitive(word: str) -> bool:
    return word.endswith(("ar", "er", "ir", "or")) and zipf_frequency(word, "pt") >= KNOWN


def _likeliest(forms: dict[str, str], known: float = KNOWN) -> str | None:
    """Of {infinitive: form} the form whose infinitive is most frequent, if any is a word at all."""
    found = max(forms, key=lambda infinitive: zipf_frequency(infinitive, "pt"), default=None)
    return forms[found] if found is not None and zipf_frequency(found, "pt") >= known else None


@lru_cache(4096)
def third_person(form: str, *, after_eu: bool = True) -> str | None:
    """The form of "você" for a form of "eu"; itself where both are the same ("morava").

    `after_eu`: the word "eu" stands before it. Without it only forms that can hardly be anything else are taken.
    None where it is no form of "eu" that we know.
    """
    word = form.lower()
    if word in irregular()["eu"]:
        turned = irregular()["eu"][word]
        return turned if after_eu or (turned != word and word not in _UNLIKE_FIRST_PERSON) else None  # "seja"
    if after_eu and word in _third_forms():  # "eu tem"
        return word
    if word.endswith("ei") and len(word) > 3:
        if is_infinitive(word[:-2]):  # future: morarei
            return word[:-2] + "á"
        return _preterite_ei(word)
    if not after_eu and word in _OF_OTHERS:
        return None
    if word.endswith(("i", "í")) and not word.endswith("ei") and len(word) > 2:
        stem = word[:-1]
        known = KNOWN if after_eu else FREQUENT  # "pai" is no form of a verb "pair"
        return _likeliest({stem + "er": stem + "eu", stem + "ir": stem + "iu"}, known)
    if word.endswith("o") and len(word) > 2 and after_eu:
        return _present(word[:-1])
    if after_eu and (is_infinitive(word) or _is_third_person(word)):
        return word
    return None


def _is_third_person(word: str) -> bool:
    """Whether the word is a verb's form of "você" (or "eu": "morava", "fosse"), as learners put it after "eu"."""
    endings = ("ava", "aria", "eria", "iria", "ia", "asse", "esse", "isse", "a", "e", "am", "em", "eu", "iu", "ou")
    return any(
        is_infinitive(word.removesuffix(ending) + infinitive)
        for ending in endings
        if word.endswith(ending)
        for infinitive in ("ar", "er", "ir")
    )


def _preterite_ei(word: str) -> str | None:
    stem = word[:-2]
    spelt = {"qu": "c", "gu": "g"}.get(stem[-2:])
    if spelt is not None and is_infinitive(stem[:-2] + spelt + "ar"):
        return stem[:-2] + spelt + "ou"
    if stem.endswith("c") and is_infinitive(stem[:-1] + "çar"):
        return stem[:-1] + "çou"
    return stem + "ou" if is_infinitive(stem + "ar") else None


def _present(stem: str) -> str | None:
    forms = {stem + "ar": stem + "a", stem + "er": stem + "e", stem + "ir": stem + "e"}
    if stem.endswith("ç"):
        forms[stem[:-1] + "cer"] = stem[:-1] + "ce"
    if stem.endswith("j"):
        forms[stem[:-1] + "ger"] = forms[stem[:-1] + "gir"] = stem[:-1] + "ge"
    return _likeliest(forms)


@lru_cache(4096)
def third_person_plural(form: str, *, past: bool = False) -> str | None:
    """The form of "vocês" for one of "nós" or "a gente". `past` decides where "falamos" may be both tenses."""
    word = form.lower()
    if word in irregular()["nós"]:
        return irregular()["nós"][word]
    for accented in ("ávamos", "íamos", "êssemos", "éssemos", "ássemos", "íssemos"):
        if word.endswith(accented):
            plain = accented if accented.endswith("ssemos") else accented.replace("á", "a").replace("í", "i")
            return word[: -len(accented)] + plain[:-3] + "m"
    for vowel in "aei":
        if word.endswith(vowel + "mos") and len(word) > 4:
            stem = word[:-4]
            if past:
                return stem + vowel + "ram"
            return stem + ("am" if vowel == "a" else "em")
    if (ending := word[-2:]) in _PAST_PLURAL:  # a gente falou
        return joined(word[:-2], _PAST_PLURAL[ending])
    if word.endswith(("a", "e")) and len(word) > 2:  # a gente fala
        return word + "m"
    return word if is_infinitive(word) or word.endswith("am") else None


def likely_verb(*infinitives: str) -> str | None:
    """The most frequent of these possible infinitives, if it is a verb."""
    best = max(infinitives, key=lambda word: zipf_frequency(word, "pt"))
    return best if is_infinitive(best) and zipf_frequency(best, "pt") > 3 else None
