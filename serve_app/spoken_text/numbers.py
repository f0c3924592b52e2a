"""Every number of a text as Portuguese says it: with gender, as money, dates, times, scores, phone numbers."""

from __future__ import annotations

import re

from serve_app.spoken_text.gender import is_feminine
from serve_app.spoken_text.measures import measures
from serve_app.spoken_text.times import times
from serve_app.spoken_text.words import NUMBER, Variety, digits, in_words, ordinal

_PHONE = re.compile(
    r"(?<![\d.,])(?:(?:\+\d{1,3} ?)?(?:\(\d{2}\) ?|\b\d{2} )?(?!(?:1[5-9]|20)\d\d-(?:1[5-9]|20))9?\d{4}-\d{4}"
    r"|0800 \d{3} \d{4}|(?:\+351 ?)?[29]\d{2} \d{3} \d{3}"
    r"|\d{5}-\d{3}|\d{4}-\d{3}|\d{3}\.\d{3}\.\d{3}-\d{2})(?![\d-])"
)
"""Phone numbers of Brazil and Portugal, postal codes (01310-100, 1200-109) and the CPF."""

_SCORE = re.compile(r"\b(\d{1,2}) ?[xX] ?(\d{1,2})\b")
_RANGE = re.compile(rf"(?<![\w,.-])({NUMBER}) ?[-–] ?(?={NUMBER}(?![\d-]))")
_NEGATIVE = re.compile(r"(?<![\w)-])[-−–](?=\d)|−(?=\d)")
_HALVES = {"½": "meio", "¼": "um quarto", "¾": "três quartos", "⅓": "um terço", "⅔": "dois terços"}
_ORDINAL = re.compile(r"\b(\d{1,4})(?:\.?([ºª])(?!C)|°(?= [a-zà-ú]{3,}))")
_LEVEL = re.compile(r"\b([ABC])([12])\b")
_LETTER = {"A": "á", "B": "bê", "C": "cê"}


def spoken_numbers(text: str, variety: Variety = "pt-br") -> str:
    """Every number of the text in words, with what belongs to it."""

    text = _PHONE.sub(lambda match: ", ".join(digits(part) for part in re.findall(r"\d+", match[0])), text)
    text = re.sub(r"(?<=[A-Za-z])-(?=\d)", " ", re.sub(r"\b(\d)([DG])\b", r"\1 \2", text))
    text = _LEVEL.sub(lambda match: f"{_LETTER[match[1]]} {in_words(match[2])}", text)
    for sign, said in _HALVES.items():
        text = re.sub(rf"(\d) ?{sign}", rf"\1 e {said}", text).replace(sign, said)
    text = times(text, variety)
    text = _NEGATIVE.sub("menos ", text)
    text = re.sub(r"(?<=\d) [-−] (?=\d)", " menos ", text)
    text = _RANGE.sub(r"\1 a ", text)
    text = _SCORE.sub(r"\1 a \2", text)
    text = re.sub(r"(\d)[ªº]-feira", r"\1ª-feira", text)
    text = _ORDINAL.sub(lambda match: ordinal(int(match[1]), feminine=match[2] == "ª"), text)
    text = re.sub(r"(\d) ?× ?(?=\d)", r"\1 vezes ", text)
    text = measures(text, variety)
    text = re.sub(r"\b1 mil\b", "mil", text)
    return re.sub(r"\d+", lambda match: f" {digits(match[0])} ", _each(text, variety))


def _each(text: str, variety: Variety) -> str:
    """The numbers that are left, one after the other; their gender is that of the noun after them, or after a range."""
    done, rest = [], text
    while match := re.search(rf"(?<![\w,.])(?:{NUMBER})", rest):
        done.append(rest[: match.start()])
        following = rest[match.end() :]
        noun = re.match(rf"(?: (?:a|ou|e|até) (?:{NUMBER}))*((?: [^\W\d_][\w-]*){{1,2}})?", following)
        feminine = noun is not None and is_feminine(noun[1] or "")
        done.append(in_words(match[0], feminine=feminine, variety=variety))
        rest = following
    return "".join(done) + rest
