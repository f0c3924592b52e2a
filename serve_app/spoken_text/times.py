"""Dates, times of day and durations in words."""

from __future__ import annotations

import re

from serve_app.spoken_text.words import Variety, in_words

MONTHS = (
    *("janeiro", "fevereiro", "março", "abril", "maio", "junho"),
    *("julho", "agosto", "setembro", "outubro", "novembro", "dezembro"),
)
_DATE = re.compile(r"(?<![\d/])(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})\b(?!/)")
_ISO_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_DAY = re.compile(r"(?<![\d/,.])(\d{1,2})/(\d{1,2})\b(?![/%])")
_PARTS = {(1, 3): "um terço", (2, 3): "dois terços", (1, 4): "um quarto", (3, 4): "três quartos", (1, 5): "um quinto"}
_DAY_BEFORE = re.compile(r"\b(?:dias?|em|até|desde|de|no|para|ao|a|e)\s+$", re.IGNORECASE)
_CLOCK = re.compile(
    r"(?<![\w,.])(\d{1,2}) ?(?:h|hs|hrs)(?:(\d{2})(?:min|m)?)?(?![\w/])|(?<![\w:])(\d{1,2}):(\d{2})h?(?!\w|:)"
)
_HOUR = re.compile(r"(?i)(?<=\bàs )([12]|21|22)(?![\d.,]?\d|[ºª°]| ?[a-z]+os\b)|(?<=\bà )(1)\b")


def times(text: str, variety: Variety) -> str:
    """The text with its dates and times in words; halves and quarters too, which look like dates."""

    def date(day: str, month: str, year: str = "") -> str | None:
        if not (1 <= int(day) <= 31 and 1 <= int(month) <= 12):
            return None
        said = "primeiro" if int(day) == 1 and variety == "pt-br" else in_words(str(int(day)), variety=variety)
        full = f" de {in_words(year.lstrip('0') or '0', variety=variety)}" if year else ""
        return f"{said} de {MONTHS[int(month) - 1]}{full}"

    def day(match: re.Match[str]) -> str:
        one, other = int(match[1]), int(match[2])
        dated = _DAY_BEFORE.search(text[: match.start()]) and not text[match.end() :].startswith(" de ")
        if not dated and match[0] == "1/2":
            return "meia" if re.match(r" \w+as?\b", text[match.end() :]) else "meio"
        if not dated and (part := _PARTS.get((one, other))):
            return part
        return date(match[1], match[2]) or f"{match[1]} por {match[2]}"

    def clock(match: re.Match[str]) -> str:
        hour, minute = match[1] or match[3], match[2] or match[4] or "0"
        if int(hour) > 24 or int(minute) > 59:
            return match[0]
        said = in_words(str(int(hour)), feminine=True, variety=variety)
        if int(minute):
            return f"{said} e {in_words(str(int(minute)), variety=variety)}"
        return f"{said} {'hora' if int(hour) < 2 else 'horas'}"

    text = _ISO_DATE.sub(lambda match: date(match[3], match[2], match[1]) or match[0], text)
    text = _DATE.sub(lambda match: date(match[1], match[3], match[4]) or match[0], text)
    text = _DAY.sub(day, text)
    text = re.sub(r"(?<=\d)h(?:\d\d)?[-–](?=\d{1,2}h)", lambda match: match[0][:-1] + " às ", text)
    text = _CLOCK.sub(clock, text)
    return _HOUR.sub(lambda match: in_words(match[1] or match[2], feminine=True, variety=variety), text)
