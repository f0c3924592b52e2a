"""Money and units in words."""

from __future__ import annotations

import re

from serve_app.spoken_text.words import NUMBER, Variety, in_words

_MONEY = {
    "R$": ("real", "reais", "centavo", "centavos"),
    "US$": ("dólar", "dólares", "centavo", "centavos"),
    "$": ("dólar", "dólares", "centavo", "centavos"),
    "€": ("euro", "euros", "cêntimo", "cêntimos"),
    "£": ("libra", "libras", "pêni", "pence"),
}
_UNITS = {
    "km/h": ("quilômetro por hora", "quilômetros por hora"),
    "km²": ("quilômetro quadrado", "quilômetros quadrados"),
    "km": ("quilômetro", "quilômetros"),
    "cm": ("centímetro", "centímetros"),
    "mm": ("milímetro", "milímetros"),
    "m²": ("metro quadrado", "metros quadrados"),
    "m2": ("metro quadrado", "metros quadrados"),
    "m³": ("metro cúbico", "metros cúbicos"),
    "m": ("metro", "metros"),
    "kg": ("quilo", "quilos"),
    "g": ("grama", "gramas"),
    "mg": ("miligrama", "miligramas"),
    "ml": ("mililitro", "mililitros"),
    "mL": ("mililitro", "mililitros"),
    "l": ("litro", "litros"),
    "L": ("litro", "litros"),
    "ha": ("hectare", "hectares"),
    "min": ("minuto", "minutos"),
    "s": ("segundo", "segundos"),
    "°C": ("grau", "graus"),
    "ºC": ("grau", "graus"),
    "°": ("grau", "graus"),
    "V": ("volt", "volts"),
    "W": ("watt", "watts"),
    "GB": ("gigabyte", "gigabytes"),
    "MB": ("megabyte", "megabytes"),
    "%": ("por cento", "por cento"),
}
_PER = {
    "kg": "quilo",
    "l": "litro",
    "L": "litro",
    "m²": "metro quadrado",
    "m": "metro",
    "km": "quilômetro",
    "h": "hora",
}
_LARGE = {"mil": "mil", "milhão": "milhão", "milhões": "milhões", "mi": "milhões", "bilhão": "bilhão"} | {
    **{"bilhões": "bilhões", "bi": "bilhões"}
}
_SIGNS = "|".join(re.escape(sign) for sign in _MONEY)
_AMOUNT = rf"({NUMBER})(?: ({'|'.join(_LARGE)})\b)?"
_BEFORE = re.compile(rf"({_SIGNS}) ?{_AMOUNT}")
_AFTER = re.compile(rf"(?<![\w,.]){_AMOUNT} ?({_SIGNS})(?!\w)")
_EACH = re.compile(
    rf"\b(reais|real|centavos?|euros?|cêntimos?|dólar(?:es)?|libras?)/(?:({'|'.join(_PER)})\b|([^\W\d_]+))"
)
_HEIGHT = re.compile(r"(?<![\w,.])(\d),(\d\d) ?m(?![\w²³/])")
_UNIT = re.compile(
    rf"(?<![\w,.])({NUMBER}) ?({'|'.join(re.escape(name) for name in sorted(_UNITS, key=len, reverse=True))})(?!\w)"
)


def measures(text: str, variety: Variety) -> str:
    """The text with its amounts of money, units and percentages in words."""

    def money(sign: str, number: str, large: str | None) -> str:
        one, many, cent, cents = _MONEY[sign]
        feminine = one == "libra"
        if large:
            of = "" if large == "mil" else "de "
            return (
                f"{in_words(number, feminine=feminine and large == 'mil', variety=variety)} {_LARGE[large]} {of}{many}"
            )
        whole, _, fraction = number.partition(",")
        amount, parts = int(whole.replace(".", "")), []
        if amount or not fraction.strip("0"):
            of = "de " if amount and amount % 1_000_000 == 0 else ""
            parts.append(f"{in_words(whole, feminine=feminine, variety=variety)} {of}{one if amount == 1 else many}")
        if fraction.strip("0"):
            small = int(fraction.ljust(2, "0")[:2])
            parts.append(f"{in_words(str(small), variety=variety)} {cent if small == 1 else cents}")
        return " e ".join(parts)

    def unit(match: re.Match[str]) -> str:
        one, many = _UNITS[match[2]]
        said = f"{in_words(match[1], variety=variety)} {one if re.match(r'[01](,|$)', match[1]) else many}"
        return said.replace("quilômetro", "quilómetro") if variety == "pt-pt" else said

    def height(match: re.Match[str]) -> str:
        metres = in_words(match[1], variety=variety) + (" metro" if match[1] in "01" else " metros")
        return metres + (f" e {in_words(str(int(match[2])), variety=variety)}" if int(match[2]) else "")

    text = _BEFORE.sub(lambda match: money(match[1], match[2], match[3]), text)
    text = _AFTER.sub(lambda match: money(match[3], match[1], match[2]), text)
    text = _EACH.sub(lambda match: f"{match[1]} por {_PER[match[2]] if match[2] else match[3]}", text)
    return _UNIT.sub(unit, _HEIGHT.sub(height, text))
