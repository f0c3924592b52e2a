"""Answers from data about the tutor herself, and advice and recommendations that are asked for.

What is told of the tutor is honest: she is a program that teaches Portuguese, with tastes only as a teacher.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Literal

from serve_app.package_data import data_file

Answered = Literal["asked", "advised", "recommended"]
"""What was told: of the tutor, advice, a recommendation."""

_RECOMMEND = re.compile(
    r"\brecomend\w+|\bindica(?:r|ria|ção)?\b|\bsug(?:ere|erir|estão|estões|eriria)\b"
    r"|\b(?:devo|posso|deveria|preciso|vale a pena|dá para|para)(?: \w+)? "
    r"(?:visitar|ver|ler|ouvir|comer|beber|conhecer|provar|assistir|experimentar)\b(?!.*\b(?:onde|quando|por que)\b)"
    r"|\b(?:tem|há|existe) (?:algum|alguma|um|uma) \w+ (?:bom|boa|bons|boas|legal|fácil)\b"
    r"|\bvocê conhece (?:um|uma|algum|alguma) (?:bom|boa)\b|\bme (?:fal[ae]r?|d[iê]z\w*) (?:um|uma) (?:bom|boa)\b"
    r"|\bo que (?:tem|há) (?:para|pra) (?:ver|fazer|visitar|comer|conhecer)\b",
    re.IGNORECASE,
)
_ADVISE = re.compile(
    r"\b(?:como|onde) (?:é que )?(?:eu |a gente |se )?(?:posso|devo|deveria|consigo|faço|fazer|\w+o|pede|diz|atende)\b"
    r"|\bo que (?:é que )?(?:eu |a gente |se )?"
    r"(?:posso|devo|deveria|preciso|faço|fazer|digo|diz|falo|fala|levo|levar|dou|tomo|peço)\b"
    r"|\bo que você faria\b|\bdicas?\b|\bconselhos?\b|\bmelhor (?:maneira|forma|jeito|modo) de\b"
    r"|\b(?:me|nos) ajuda\w* a\b|\bé (?:seguro|perigoso)\b|\balguma (?:ideia|sugestão)\b"
    r"|\bvocê (?:pode|poderia) me ajudar\b|\beu (?:devo|deveria)\b",
    re.IGNORECASE,
)


@cache
def _rows(file: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    rows: list[dict[str, str]] = json.loads(data_file(f"teaching/{file}").read_text("utf-8"))
    return tuple((re.compile(rf"\b(?:{row['asks']})", re.IGNORECASE), row["text"]) for row in rows)


def known_answer(question: str) -> tuple[str, Answered] | None:
    """One or two sentences and what they are; None where the data has none."""
    if _RECOMMEND.search(question) and (told := _first("recommendations.json", question)):
        return told, "recommended"
    if told := _first("tutor_answers.json", question):
        return told, "asked"
    if _ADVISE.search(question) and (told := _first("advice.json", question)):
        return told, "advised"
    return None


def asks_advice(question: str) -> bool:
    """Whether it is asked what to do, or how."""
    return _ADVISE.search(question) is not None


def _first(file: str, question: str) -> str | None:
    return next((text for asked, text in _rows(file) if asked.search(question)), None)
