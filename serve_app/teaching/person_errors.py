"""Finds verbs in the wrong person: "eu tem", "nós comeu", "a gente vamos", "eles mora"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wordfreq import zipf_frequency

from serve_app.teaching.correction import Correction, corrected, nouns, rule_data
from serve_app.teaching.phrase_errors import NO_INFINITIVE
from serve_app.teaching.verbs import irregular, is_infinitive, joined, likely_verb, third_person_plural

_ADVERBS = r"(?:(?:não|também|já|nunca|sempre|só|ainda|quase|agora|hoje|ontem|te|lhe|me|se) ){0,2}"
_WORD = r"[a-zà-ú]+"
_CLAUSE = re.compile(r"(?:^|[,.!?]|\b(?:e|mas|então|hoje|ontem|agora|oi|porque))\s*$", re.IGNORECASE)
"""What may stand before the first word of a clause."""
_MAY_BE_SUBJUNCTIVE = re.compile(r"\b(?:que|caso|talvez|embora|quando|se|para que)\b[^,.]{0,20}$", re.IGNORECASE)
_TWO = re.compile(r"(?:^|[.,!?] )(?:(?:[oa] )?(?:meu|minha|meus|minhas) [a-zà-ú]+|ele|ela|você) e $", re.IGNORECASE)
"""Somebody else before "e eu" at the start of a clause: of two people."""

_PAST = re.compile(r"\b(?:ontem|anteontem|passad[oa]s?|domingo|sábado|atrás)\b", re.IGNORECASE)


def _eu(text: str) -> Iterator[Correction]:
    for match in re.finditer(rf"\beu {_ADVERBS}({_WORD})\b", text, re.IGNORECASE):
        word, before = match[1].lower(), text[: match.start()]
        if (len(word) < 2 and word != "é") or (word.endswith("mos") and re.search(r"\be $", before)):
            continue  # "você e eu somos"
        if _TWO.search(before):
            continue  # "meu marido e eu": see agreement_errors
        if is_infinitive(word) and (not _CLAUSE.search(before) or word in NO_INFINITIVE):
            continue  # "para eu fazer", "vale a pena eu ficar"
        subjunctive = bool(_MAY_BE_SUBJUNCTIVE.search(before))
        better = rule_data()["eu"].get(word) or _first_person(word, subjunctive=subjunctive)
        if re.search(r"\b(?:ontem|anteontem|passad[oa])\b", before, re.IGNORECASE):
            better = "fui" if word == "vai" else _past_of_regular(word) or better
        if better:
            yield corrected(match, 1, better, "person", subject="eu")
    for match in re.finditer(rf"\bmim {_ADVERBS}({_WORD})\b", text, re.IGNORECASE):
        before = text[: match.start()].rstrip()
        if before and not before.endswith((",", ".", "!", "?")):
            continue  # "para mim é bom"
        word = match[1].lower()
        better = rule_data()["eu"].get(word) or _first_person(word, subjunctive=False)
        if better:
            said = match[0]
            whole = f"eu{said[3 : match.start(1) - match.start()]}{better}"
            yield corrected(match, 0, whole, "person", subject="eu")


def _first_person(word: str, *, subjunctive: bool) -> str | None:
    """The form of "eu" for another form of a regular verb, None if the word is no such form."""
    if word in irregular()["eu"]:  # is one of "eu"
        return None
    if len(word) < 4 or word in rule_data()["hardly a verb"]:
        return None
    for ending, first, verb in (("ou", "ei", "ar"), ("eu", "i", "er"), ("iu", "i", "ir")):
        if word.endswith(ending) and is_infinitive(word[:-2] + verb):
            return joined(word[:-2], first)
    stem = word[:-1]
    if word.endswith("a") and not subjunctive and likely_verb(stem + "ar", stem + "er", stem + "ir") == stem + "ar":
        return stem + "o"
    if (
        word.endswith("e")
        and not subjunctive
        and likely_verb(stem + "er", stem + "ir", stem + "ar") in (stem + "er", stem + "ir")
    ):
        return (stem[:-1] + "ço" if stem.endswith("c") else stem + "o") if not stem.endswith("g") else stem[:-1] + "jo"
    if is_infinitive(word) and zipf_frequency(word, "pt") > 3 and word not in NO_INFINITIVE:
        stem = word[:-2]
        return stem[:-1] + "ço" if stem.endswith("c") and word.endswith("er") else stem + "o"
    return None


def _past_of_regular(word: str) -> str | None:
    """ "Viajei" for "viaja" or "viajar"."""
    stem = word.removesuffix("r").removesuffix("a")
    regular = (
        word.endswith(("a", "ar")) and likely_verb(*(stem + ending for ending in ("ar", "er", "ir"))) == f"{stem}ar"
    )
    return joined(stem, "ei") if regular else None


def _nos(text: str) -> Iterator[Correction]:
    for match in re.finditer(rf"\bnós {_ADVERBS}({_WORD})\b", text, re.IGNORECASE):
        word = match[1].lower()
        better = rule_data()["nós"].get(word)
        for ending, first, verb in (("ou", "amos", "ar"), ("eu", "emos", "er"), ("iu", "imos", "ir")):
            if not better and word.endswith(ending) and is_infinitive(word[:-2] + verb):
                better = joined(word[:-2], first)
        for ending, verbs in (("a", ("ar",)), ("o", ("ar",)), ("e", ("er", "ir"))):
            if not better and word.endswith(ending):
                likely = likely_verb(*(word[:-1] + verb for verb in ("ar", "er", "ir")))
                better = f"{likely[:-1]}mos" if likely and likely[-2:] in verbs else None
        if better:
            yield corrected(match, 1, better, "person", subject="nós")
    for match in re.finditer(rf"\ba gente {_ADVERBS}({_WORD}mos)\b", text, re.IGNORECASE):
        word = match[1].lower()
        better, stem, vowel = rule_data()["a gente"].get(word), word[:-4], word[-4:-3]
        if not better and vowel in "aei" and is_infinitive(stem + vowel + "r"):
            past = {"a": "ou", "e": "eu", "i": "iu"}[vowel] if _PAST.search(text) else ("a" if vowel == "a" else "e")
            better = stem + past
        if better:
            yield corrected(match, 1, better, "person", 0.85, subject="a gente")


def _others(text: str) -> Iterator[Correction]:
    for match in re.finditer(rf"\b(ele|ela|você) {_ADVERBS}({_WORD})\b", text, re.IGNORECASE):
        after_preposition = re.search(r"\b(?:com|para|pra|de|por|em|sobre|sem) $", text[: match.start()], re.IGNORECASE)
        if not after_preposition and (better := rule_data()["ele"].get(match[2].lower())):
            yield corrected(match, 2, better, "person", subject=match[1].lower())
    plurals = r"eles|elas|vocês|(?:as|os|meus|minhas|seus|suas) (?!mesm|outr)[a-zà-ú]+s"
    for match in re.finditer(
        rf"\b({plurals}) (?:por exemplo |normalmente |geralmente |às vezes |quase )?{_ADVERBS}({_WORD})\b",
        text,
        re.IGNORECASE,
    ):
        word = match[2].lower()
        if re.search(
            r"\b(?:entre|de|d[oa]s|com|para|pra|por|sobre|sem|contra) $", text[: match.start()], re.IGNORECASE
        ):
            continue  # "o desemprego entre os jovens aumentou"
        better = third_person_plural(word) if _is_third_singular(word) else None
        if better and better not in (word, "têm", "vêm"):  # which sound the same
            yield corrected(match, 2, better, "person", 0.85, subject=match[1].lower())


def _is_third_singular(word: str) -> bool:
    """A frequent verb in the form of "ele", and hardly anything else: not "casa", "conta"."""
    if word in (
        "é",
        "está",
        "vai",
        "foi",
        "tem",
        "teve",
        "fez",
        "quer",
        "faz",
        "pode",
        "vem",
        "veio",
        "deu",
        "viu",
        "diz",
    ):
        return True
    if word.endswith(("ou", "iu")) or (word.endswith("eu") and len(word) > 3):
        return any(is_infinitive(word[:-2] + verb) for verb in ("ar", "er", "ir"))
    if word in nouns() or len(word) < 4 or not word.endswith(("a", "e")):
        return False
    wanted = ("ar",) if word.endswith("a") else ("er", "ir")
    likely = likely_verb(*(word[:-1] + verb for verb in ("ar", "er", "ir")))
    return likely is not None and likely[-2:] in wanted and zipf_frequency(likely, "pt") > 4


PERSON_RULES = (_eu, _nos, _others)
