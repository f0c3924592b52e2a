"""What an error rule makes of a match, and the words that the rules share."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from serve_app.package_data import data_file
from serve_app.teaching.word_forms import plural


@dataclass(frozen=True, slots=True)
class Correction:
    """One error: `said` stands at `span` (characters) of the text, `better` would be right there.

    `rule` names the kind of error, `message` tells the learner in Portuguese; `confidence` is 0 to 1.
    """

    span: tuple[int, int]
    said: str
    better: str
    rule: str
    message: str
    confidence: float = 0.9


_NO_NOUNS = ("nouns like verb forms", "little words", "phrases")
"""Topics of the glossary whose words are no sure nouns: "a visita" after "eu" is a verb, "a tempo" has no article."""


@cache
def rule_data() -> dict[str, Any]:
    return json.loads(data_file("teaching/error_rules.json").read_text("utf-8"))


@cache
def nouns() -> dict[str, tuple[str, bool]]:
    """Frequent nouns, singular and plural: gender ("o", "a" or "" for both), whether plural."""
    glossary: dict[str, dict[str, Any]] = json.loads(data_file("teaching/glossary.json").read_text("utf-8"))
    entries = (entry.split(" ") for topic, group in glossary.items() if topic not in _NO_NOUNS for entry in group)
    singular = {words[1]: words[0] for words in entries if len(words) == 2 and words[0] in ("o", "a")}
    singular |= dict.fromkeys(rule_data()["feminine"], "a") | dict.fromkeys(rule_data()["masculine in -a"], "o")
    singular |= dict.fromkeys(rule_data()["of both genders"], "")
    return {plural(noun): (gender, True) for noun, gender in singular.items()} | {
        noun: (gender, False) for noun, gender in singular.items()
    }


def corrected(
    match: re.Match[str], group: int | str, better: str, rule: str, confidence: float = 0.9, **words: str
) -> Correction:
    said = match[group]
    if said[:1].isupper():
        better = better[:1].upper() + better[1:]
    message = rule_data()["messages"][rule].format(better=better, **words)
    return Correction(match.span(group), said, better, rule, message, confidence)
