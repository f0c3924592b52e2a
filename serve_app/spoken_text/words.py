"""A number in Portuguese words, by num2words."""

from __future__ import annotations

import re
from typing import Literal

from num2words import num2words

Variety = Literal["pt-br", "pt-pt"]

NUMBER = r"\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d+(?:,\d+)?"
"""As Portuguese writes numbers: 1.250,50."""

LONGEST = 12
"""Digits of the longest number that is said as one."""


def in_words(number: str, *, feminine: bool = False, variety: Variety = "pt-br") -> str:
    """ "1.250,5" in words. Numbers with a leading zero, and those too long to say, digit by digit."""
    whole, _, fraction = number.replace(".", "").partition(",")
    if (whole.startswith("0") and len(whole) > 1) or len(whole) > LONGEST:
        return digits(whole)
    spoken = num2words(int(whole), lang="pt" if variety == "pt-pt" else "pt_BR").replace(",", "")
    if feminine:
        spoken = re.sub(r"\bum\b(?! mil)", "uma", spoken)
        spoken = re.sub(r"\bdois\b(?! mil[hõ])", "duas", spoken)
        spoken = re.sub(r"entos\b(?=(?:(?!mil[hõ]).)*$)", "entas", spoken)
    if fraction:
        zeros = len(fraction) - len(fraction.lstrip("0"))
        rest = [*["zero"] * zeros, in_words(fraction.lstrip("0"), variety=variety)] if fraction.strip("0") else ["zero"]
        spoken += " vírgula " + " ".join(rest)
    return spoken


def ordinal(number: int, *, feminine: bool) -> str:
    said = num2words(number, lang="pt_BR", to="ordinal")
    return re.sub(r"o\b", "a", said) if feminine else said


def digits(text: str) -> str:
    return " ".join(num2words(int(digit), lang="pt_BR") for digit in text if digit.isdigit())
