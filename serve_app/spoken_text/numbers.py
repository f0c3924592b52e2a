"""Numbers as Portuguese says them: with gender, as money, dates, times, units, ordinals; num2words has the words."""

from __future__ import annotations

import re
from typing import Literal

from num2words import num2words

Variety = Literal["pt-br", "pt-pt"]

_NUMBER = r"\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d+(?:,\d+)?"
_MONTHS = (
    *("janeiro", "fevereiro", "março", "abril", "maio", "junho"),
    *("julho", "agosto", "setembro", "outubro", "novembro", "dezembro"),
)
_MONEY = {
    "R$": ("real", "reais", "centavo", "centavos"),
    "US$": ("dólar", "dólares", "centavo", "centavos"),
    "$": ("dólar", "dólares", "centavo", "centavos"),
    "€": ("euro", "euros", "cêntimo", "cêntimos"),
    "£": ("libra", "libras", "pêni", "pence"),
}
_UNITS = {
    "km/h": ("quilômetro por hora", "quilômetros por hora"),
    "km": ("quilômetro", "quilômetros"),
    "cm": ("centímetro", "centímetros"),
    "mm": ("milímetro", "milímetros"),
    "m²": ("metro quadrado", "metros quadrados"),
    "m": ("metro", "metros"),
    "kg": ("quilo", "quilos"),
    "g": ("grama", "gramas"),
    "mg": ("miligrama", "miligramas"),
    "ml": ("mililitro", "mililitros"),
    "l": ("litro", "litros"),
    "L": ("litro", "litros"),
    "min": ("minuto", "minutos"),
    "°C": ("grau", "graus"),
    "ºC": ("grau", "graus"),
    "°": ("grau", "graus"),
    "%": ("por cento", "por cento"),
}
_FEMININE = re.compile(
    r"\w*(?:as?|ãs?|ções|ção|sões|são|dades?|gens|gem|ezas?)|mil pessoas|mulheres|mães?|vez(?:es)?|noites?|tardes?"
    r"|flor(?:es)?|cor(?:es)?|luz(?:es)?|voz(?:es)?|partes?"
)
_MASCULINE = re.compile(
    r"dias?|problemas?|sistemas?|temas?|programas?|mapas?|idiomas?|poemas?|gramas?|telefonemas?|planetas?|atletas?"
)
_PORTUGAL = {"dezesseis": "dezasseis", "dezessete": "dezassete", "dezenove": "dezanove", "quatorze": "catorze"}


def in_words(number: str, *, feminine: bool = False, variety: Variety = "pt-br") -> str:
    """ "1.250,5" in words. Numbers with a leading zero, and those too long to say, digit by digit."""
    whole, _, fraction = number.replace(".", "").partition(",")
    if (whole.startswith("0") and len(whole) > 1) or len(whole) > 12:
        return digits(whole)
    spoken = num2words(int(whole), lang="pt_BR").replace(",", " e" if int(whole) % 1000 in _JOINED else "")
    if feminine:
        spoken = re.sub(r"\bum\b(?! mil)", "uma", spoken)
        spoken = re.sub(r"\bdois\b", "duas", spoken)
        spoken = re.sub(r"entos\b", "entas", spoken)
    if fraction:
        zeros = len(fraction) - len(fraction.lstrip("0"))
        rest = [*["zero"] * zeros, in_words(fraction.lstrip("0"))] if fraction.strip("0") else ["zero"]
        spoken += " vírgula " + " ".join(rest)
    if variety == "pt-pt":
        spoken = re.sub("|".join(_PORTUGAL), lambda match: _PORTUGAL[match[0]], spoken)
    return spoken


_JOINED = frozenset(range(1, 101)) | frozenset(range(200, 1000, 100))
"""Rests of a thousand that are joined with "e": mil e cem, mil e quinhentos, but mil duzentos e cinquenta."""


def digits(text: str) -> str:
    return " ".join(num2words(int(digit), lang="pt_BR") for digit in text if digit.isdigit())


def spoken_numbers(text: str, variety: Variety = "pt-br") -> str:
    """Every number of the text in words, with what belongs to it."""

    def words(number: str, *, feminine: bool = False) -> str:
        return in_words(number, feminine=feminine, variety=variety)

    def money(match: re.Match[str]) -> str:
        one, many, cent, cents = _MONEY[match[1]]
        whole, _, fraction = match[2].partition(",")
        amount = int(whole.replace(".", ""))
        parts = []
        if amount or not fraction.strip("0"):
            of = "de " if amount and amount % 1_000_000 == 0 else ""
            parts.append(f"{words(whole, feminine=one == 'libra')} {of}{one if amount == 1 else many}")
        if fraction.strip("0"):
            number = int(fraction.ljust(2, "0")[:2])
            parts.append(f"{words(str(number))} {cent if number == 1 else cents}")
        return " e ".join(parts)

    def date(match: re.Match[str]) -> str:
        day, month, year = int(match[1]), int(match[2]), match[3]
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return match[0]
        said = "primeiro" if day == 1 else words(str(day))
        return f"{said} de {_MONTHS[month - 1]}" + (f" de {words(year)}" if year else "")

    def clock(match: re.Match[str]) -> str:
        hour, minute = int(match[1]), int(match[2] or 0)
        if hour > 24 or minute > 59:
            return match[0]
        said = words(str(hour), feminine=True)
        if not minute:
            return f"{said} {'hora' if hour == 1 else 'horas'}"
        return f"{said} e {words(str(minute))}"

    def ordinal(match: re.Match[str]) -> str:
        said = num2words(int(match[1]), lang="pt_BR", to="ordinal")
        return re.sub(r"o\b", "a", said) if match[2] in "ªa" else said

    def unit(match: re.Match[str]) -> str:
        one, many = _UNITS[match[2]]
        return f"{words(match[1])} {one if match[1] in ('0', '1') else many}"

    def counted(match: re.Match[str]) -> str:
        noun = match[2] or ""
        feminine = bool(_FEMININE.fullmatch(noun.lower())) and not _MASCULINE.fullmatch(noun.lower())
        return words(match[1], feminine=feminine) + (f" {noun}" if noun else "")

    signs = "|".join(re.escape(sign) for sign in _MONEY)
    units = "|".join(re.escape(name) for name in sorted(_UNITS, key=len, reverse=True))
    text = re.sub(r"(?<!\d)(?:\+\d{2} ?)?\(?\d{2}\)? ?9?\d{4}-\d{4}\b", lambda match: _phone(match[0]), text)
    text = re.sub(rf"({signs}) ?({_NUMBER})", money, text)
    text = re.sub(r"\b1 mil\b", "mil", text)
    text = re.sub(r"\b(\d{1,2})/(\d{1,2})(?:/(\d{4}))?\b", date, text)
    text = re.sub(r"\b(\d{1,2})h(\d{2})?(?:min)?\b", clock, text)
    text = re.sub(r"\b(\d{1,2}):(\d{2})\b", clock, text)
    text = re.sub(r"\b(\d{1,4})([ºª])", ordinal, text)
    text = re.sub(rf"(?<![\w,.])({_NUMBER}) ?({units})(?!\w)", unit, text)
    text = re.sub(rf"(?<![\w,.])({_NUMBER})(?: (mil pessoas|[^\W\d_]+))?", counted, text)
    return re.sub(r"\d+", lambda match: f" {digits(match[0])} ", text)


def _phone(number: str) -> str:
    return ", ".join(digits(part) for part in re.findall(r"\d+", number))
