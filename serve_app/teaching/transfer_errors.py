"""What speakers of other languages carry over word by word: false friends, prepositions, a missing verb or article.

The pairs are in `error_rules.json` under "transfers": what is said, as a pattern, and what is right for its group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from serve_app.teaching.correction import Correction, corrected, nouns, rule_data
from serve_app.teaching.verb_tenses import conjugate
from serve_app.teaching.verbs import is_infinitive

_WORD = r"[a-zà-ú]+"
_JOINED = {
    "isso": "isso",
    "isto": "isto",
    "aquilo": "aquilo",
    "ele": "ele",
    "ela": "ela",
    "eles": "eles",
    "elas": "elas",
} | {
    word: word for word in ("esse", "essa", "esses", "essas", "este", "esta", "aquele", "aquela", "aqueles", "aquelas")
}


_WITH_ARTICLE = {"de": "d", "em": "n", "para": "para "}


@cache
def _transfers() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(said, re.IGNORECASE), better) for said, better in rule_data()["transfers"])


def _carried_over(text: str) -> Iterator[Correction]:
    for said, better in _transfers():
        for match in said.finditer(text):
            yield corrected(match, 1, match.expand(better), "choice", 0.85)


def _contraction(text: str) -> Iterator[Correction]:
    """ "De isso", "em este": one word. Not before an infinitive, "antes de ele chegar"."""
    for match in re.finditer(
        rf"\b(de|em) ({'|'.join(_JOINED)})\b(?! (?:(?:não|se|me|te|já) ){{0,2}}({_WORD}[aei]r(?:em)?)\b)",
        text,
        re.IGNORECASE,
    ):
        joined = ("d" if match[1].lower() == "de" else "n") + match[2].lower()
        yield corrected(match, 0, joined, "preposition")


def _place(text: str) -> Iterator[Correction]:
    """ "Em Rio": with its article."""
    for place, article in rule_data()["places with an article"].items():
        for match in re.finditer(rf"\b([Dd]e|[Ee]m|[Pp]ara) {place}\b(?! (?:Branco|Preto|Claro|Verde|Grande))", text):
            yield corrected(match, 0, f"{_WITH_ARTICLE[match[1].lower()]}{article} {place}", "country", 0.85)


def _wrong_article(text: str) -> Iterator[Correction]:
    """ "No Alemanha", "na Brasil"."""
    turned = {"no": "na", "do": "da", "ao": "à", "pelo": "pela", "o": "a"}
    turned |= {other: one for one, other in turned.items()}
    for country, gender in rule_data()["countries"].items():
        wrong = {"a": "no|do|ao|pelo", "o": "na|da|à|pela"}.get(gender)
        for match in re.finditer(rf"\b({wrong}) {country}\b", text) if wrong else ():
            yield corrected(match, 1, turned[match[1]], "country", 0.85)


def _missing(text: str) -> Iterator[Correction]:
    """ "Sinto falta a minha família", "sinto falta lá"."""
    for match in re.finditer(
        r"\bsint\w+ (?:muita )?(falta|saudades?) ((?:o|a|os|as|meu|minha|meus|minhas|lá|aqui)\b)", text, re.IGNORECASE
    ):
        word = match[2].lower()
        better = (
            f"d{word}"
            if word in ("o", "a", "os", "as")
            else f"de {word}"
            if word == "lá"
            else f"da{word}"
            if word == "aqui"
            else f"d{'a' if word[1] == 'i' else 'o'}{'s' if word.endswith('s') else ''} {word}"
        )
        yield corrected(match, 0, f"{match[0][: -len(word)]}{better.replace('daaqui', 'daqui')}", "preposition", 0.85)


def _profession(text: str) -> Iterator[Correction]:
    """ "Minha esposa está professora", "eu estudante": with "ser"."""
    work = "|".join(rule_data()["professions"])
    being = {"estou": "sou", "está": "é", "estava": "era"}
    who = rf"(?:eu|ele|ela|você|(?:o |a )?(?:meu|minha|nosso|nossa) {_WORD})"
    for match in re.finditer(
        rf"\b{who} (?:(?:também|não|agora) )?({'|'.join(being)}) (?:um |uma )?(?:{work})"
        r"(?=[.,!?;]|$| (?:e|de|em|no|na|mas|aqui)\b)",
        text,
        re.IGNORECASE,
    ):
        yield corrected(match, 1, being[match[1].lower()], "being", 0.85)
    verbs = {"eu": "sou", "ele": "é", "ela": "é"}
    for match in re.finditer(
        rf"(?:^|[.!?] )(?P<said>(?P<who>eu|ele|ela|(?:meu|minha) [a-zà-ú]+) (?:um |uma )?(?P<what>{work}))"
        r"(?=[.!;]|$| (?:de|em|no|na|e)\b)",
        text,
        re.IGNORECASE,
    ):
        who_said = match["who"]
        verb = verbs.get(who_said.lower(), "é")
        yield corrected(match, "said", f"{who_said} {verb} {match['what']}", "being", 0.85)


def _origin(text: str) -> Iterator[Correction]:
    """ "Estou da Inglaterra": with "ser"."""
    being = {"estou": "sou", "está": "é", "estamos": "somos"}
    countries = "|".join(rule_data()["countries"])
    for match in re.finditer(
        rf"\b(estou|está|estamos) d[aeo]s? (?:{countries})(?=[.,!?;]|$| e\b)", text, re.IGNORECASE
    ):
        yield corrected(match, 1, being[match[1].lower()], "being", 0.85)


def _infinitive(text: str) -> Iterator[Correction]:
    """ "Ele vender sapatos": not after "para" and the like."""
    for match in re.finditer(rf"(?:^|[.!?,;] )(?:ele|ela) (?:não )?({_WORD}(?:ar|er|ir))\b", text, re.IGNORECASE):
        present = (
            conjugate(match[1].lower(), "present")
            if is_infinitive(match[1].lower()) and match[1].lower() not in ("quer", "requer")
            else None
        )
        if present:
            yield corrected(match, 1, present[1], "person", 0.85, subject="ele")


def _liked(text: str) -> Iterator[Correction]:
    """ "Eu gosto música": of it."""
    for match in re.finditer(
        rf"\b(?:eu|ele|ela|você|a gente|nós) (?:não |também )?gost(?:o|a|amos) (?:muito |mais )?({_WORD})\b",
        text,
        re.IGNORECASE,
    ):
        if match[1].lower() in nouns() and match[1].lower() not in ("vez", "tempo", "gente"):
            yield corrected(match, 1, f"de {match[1]}", "gostar", 0.85)


def _bare_noun(text: str) -> Iterator[Correction]:
    """ "Abro porta": one door has its article."""
    verbs = "abr(?:o|e|i|iu|imos|em)|abrir|fech(?:o|a|ei|ou|am|amos)|fechar|deslig(?:o|a|uei|ou)|desligar"
    things = "porta|janela|loja|livro|restaurante|cafeteria|televisão|computador|luz|celular|rádio|fogão"
    for match in re.finditer(
        rf"\b(?:{verbs}) ({things})(?=[.,!?;]|$| (?:e|às|da|do|de|quando)\b)", text, re.IGNORECASE
    ):
        gender = nouns().get(match[1].lower(), ("a" if match[1].lower().endswith("a") else "o", False))[0]
        yield corrected(match, 1, f"{gender} {match[1].lower()}", "article", 0.85)


def _participle(text: str) -> Iterator[Correction]:
    """ "Foram salvados", "tinha abrido"."""
    always, passive = rule_data()["participles"]["always"], rule_data()["participles"]["passive"]
    for match in re.finditer(rf"\b((?:{'|'.join(always)})([oa]s?))\b", text, re.IGNORECASE):
        stem = match[1].lower()[: -len(match[2])]
        yield corrected(match, 1, always[stem] + match[2].lower(), "participle")
    for match in re.finditer(
        r"\b(?:foi|foram|fui|fomos|é|são|ser|está|estão|sido) (?:(?:todos|todas|já|muito) )?"
        rf"((?:{'|'.join(passive)})([oa]s?))\b",
        text,
        re.IGNORECASE,
    ):
        stem, ending = match[1].lower()[: -len(match[2])], match[2].lower()
        better = passive[stem]
        better = better + ending.replace("o", "").replace("a", "") if better.endswith("e") else better + ending
        yield corrected(match, 1, better, "participle")


TRANSFER_RULES = (
    _carried_over,
    _contraction,
    _place,
    _wrong_article,
    _missing,
    _profession,
    _origin,
    _infinitive,
    _liked,
    _bare_noun,
    _participle,
)
