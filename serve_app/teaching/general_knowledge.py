"""Answers simple questions of fact from data: capitals, money, days and months, Brazil's food and customs.

`data/teaching/facts.json` holds what changes seldom: no presidents, no prices, nothing of today.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from serve_app.package_data import data_file
from serve_app.teaching.utterance_kind import asks

_ABOUT_COUNTRY = (
    (re.compile(r"\bcapital d[aoe]s?\b", re.IGNORECASE), "A capital d{place} é {capital}."),
    (
        re.compile(r"\b(?:moeda|dinheiro) (?:d[aoe]s?|n[ao]s?|em|se usa)\b", re.IGNORECASE),
        "A moeda d{place} é {money}.",
    ),
    (
        re.compile(r"\b(?:que|qual|quais) (?:é a |são as )?(?:língua|idioma)s?\b", re.IGNORECASE),
        "A língua d{place} é {language}.",
    ),
)
_ABOUT_LEARNER = re.compile(r"\b(?:eu|meus?|minhas?|comigo)\b", re.IGNORECASE)

_OPINION = re.compile(r"\b(?:você (?:não )?(?:acha|pensa|concorda)|na sua opinião)\b", re.IGNORECASE)


@cache
def _data() -> dict[str, Any]:
    return json.loads(data_file("teaching/facts.json").read_text("utf-8"))


@cache
def _facts() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(rf"\b(?:{row['asks']})", re.IGNORECASE), row["text"]) for row in _data()["facts"])


def known_fact(utterance: str) -> str | None:
    """The answer in a sentence; None where it is no question of fact that the data can answer."""
    if not asks(utterance):
        return None
    if not _ABOUT_LEARNER.search(utterance) and (told := _of_place(utterance)):
        return told
    if _OPINION.search(utterance):
        return None
    return next((text for asked, text in _facts() if asked.search(utterance)), None)


def _of_place(utterance: str) -> str | None:
    asked = next((sentence for pattern, sentence in _ABOUT_COUNTRY if pattern.search(utterance)), None)
    if asked is None:
        return None
    places = {**_data()["countries"], **{name: [capital, "", ""] for name, capital in _data()["states"].items()}}
    for name in sorted(places, key=len, reverse=True):
        article, _, bare = name.partition(" ") if name.startswith(("o ", "a ", "os ")) else ("", "", name)
        if re.search(rf"\b{bare}\b", utterance, re.IGNORECASE):
            capital, money, language = places[name]
            if not money and "{capital}" not in asked:
                return None
            place = f"{article} {bare}" if article else f"e {bare}"
            several = "As línguas d{place} são {language}." if "{language}" in asked and " e " in language else asked
            return several.format(place=place, capital=capital, money=money, language=language)
    return None
