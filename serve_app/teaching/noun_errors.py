"""Finds the wrong gender or number of a noun and of what stands before it: "minha irmão", "muitos amigo"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from serve_app.teaching.correction import Correction, corrected, nouns, rule_data
from serve_app.teaching.phrase_errors import MANY
from serve_app.teaching.word_forms import plural

_WORD = r"[a-zà-ú]+"
_TURNED = {
    **{"o": "a", "um": "uma", "meu": "minha", "seu": "sua", "este": "esta", "esse": "essa", "do": "da", "no": "na"},
    **{"os": "as", "meus": "minhas", "seus": "suas", "dos": "das", "nos": "nas", "muitos": "muitas", "dois": "duas"},
    **{"ao": "à", "outro": "outra", "outros": "outras", "nosso": "nossa", "nossos": "nossas", "esses": "essas"},
}
_TO_MASCULINE = {feminine: masculine for masculine, feminine in _TURNED.items()}


def _gender(text: str) -> Iterator[Correction]:
    masculine = "|".join(noun + "s?" for noun in rule_data()["masculine in -a"])
    for match in re.finditer(rf"\b({'|'.join(_TO_MASCULINE)}) ({masculine})\b", text, re.IGNORECASE):
        if not re.search(r"\bdia $", text[: match.start()], re.IGNORECASE):
            yield corrected(match, 0, f"{_TO_MASCULINE[match[1].lower()]} {match[2]}", "gender")
    sure = "minhas?|suas?|umas?|esta|essas?|outras?|nossas?|duas|muitas"  # "a" and "na" may be something else
    for match in re.finditer(rf"\b({sure}) ({_WORD}(?:-{_WORD})?)\b", text, re.IGNORECASE):
        noun, wrong = match[2].lower(), match[1].lower()
        if (
            nouns().get(noun, ("", False))[0] == "o"
            and wrong in _TO_MASCULINE
            and noun not in rule_data()["masculine in -a"]
        ):
            yield corrected(match, 0, f"{_TO_MASCULINE[wrong]} {match[2]}", "gender")
    determiners = "|".join(_TURNED)
    for match in re.finditer(rf"\b({determiners}) ({_WORD}(?:-{_WORD})?)\b", text, re.IGNORECASE):
        noun = match[2].lower()
        if noun == "avós":
            continue  # of "avô" as well
        if noun == "avó":
            yield corrected(match, 0, f"{match[1]} avô", "gender", 0.8)
        elif _is_feminine(noun):
            many = match[1].lower().endswith("s") and not nouns()[noun][1]  # "os criança"
            yield corrected(match, 0, f"{_TURNED[match[1].lower()]} {plural(noun) if many else match[2]}", "gender")
    for match in re.finditer(rf"\bmuit[oa] ({_WORD}s)\b", text, re.IGNORECASE):
        gender, many = nouns().get(match[1].lower(), ("", False))
        if many:
            yield corrected(match, 0, f"{'muitas' if gender == 'a' else 'muitos'} {match[1]}", "plural", 0.85)


def _is_feminine(noun: str) -> bool:
    return nouns().get(noun, ("o", False))[0] == "a"


def _plural(text: str) -> Iterator[Correction]:
    for match in re.finditer(rf"\b{MANY} (?:e um |e uma )?({_WORD})\b", text, re.IGNORECASE):
        noun = match[1].lower()
        if nouns().get(noun, ("", True))[1] or match[0].split()[0] == "1":
            continue
        yield corrected(match, 1, plural(noun), "plural")
    for match in re.finditer(
        rf"\b(?:meus|minhas|seus|suas|muitos|muitas|dos|das|uns|umas|os|as) ({_WORD})\b", text, re.IGNORECASE
    ):
        noun = match[1].lower()
        if not nouns().get(noun, ("", True))[1]:
            yield corrected(match, 1, plural(noun), "plural", 0.85)


NOUN_RULES = (_gender, _plural)
