"""A placement talk: which question comes next, and what a few answers say of the level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serve_app.protocols import LEVELS
from serve_app.scenarios.progress import Progress
from serve_app.scenarios.scenario import Scenario
from serve_app.teaching.running_level import likely_range, uncertainty

FIRST = "A2"
"""Level of the first question: nobody is scared off, and everybody can say something."""


@dataclass(frozen=True, slots=True)
class Placement:
    """What the answers say: the likeliest level and the neighbouring levels that hold 80 % of the probability.

    `level` is None where there is no estimate: the stack has no `cefr` stage, or the answers were too short.
    """

    level: str | None
    low: str | None
    high: str | None
    uncertainty: float | None
    turns: int

    def data(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "low": self.low,
            "high": self.high,
            "uncertainty": self.uncertainty,
            "turns": self.turns,
            "message": self.said(),
        }

    def said(self) -> str:
        """What the tutor says of it, in words for the level."""
        if self.level is None:
            return "Para dizer o seu nível eu preciso ouvir mais. Fale um pouco mais em cada resposta."
        if self.level[0] == "A":
            return f"O seu nível parece {self.level}. É só uma ideia: foram só {_COUNTED[self.turns]} respostas."
        between = "" if self.low == self.high else f", entre {self.low} e {self.high}"
        return (
            f"Pelas suas respostas, o seu nível parece ser {self.level}{between}. "
            f"É uma estimativa: {_COUNTED[self.turns]} respostas são pouco para ter certeza."
        )


_COUNTED = {3: "três", 4: "quatro", 5: "cinco", 6: "seis", 7: "sete", 8: "oito", 9: "nove", 10: "dez"}


def placed(probabilities: Mapping[str, float], turns: int) -> Placement:
    """The result, from the probabilities of the running estimate."""
    if not probabilities:
        return Placement(None, None, None, None, turns)
    low, high = likely_range(probabilities)
    level = max(probabilities, key=lambda one: probabilities[one])
    return Placement(level, low, high, round(uncertainty(probabilities), 2), turns)


def next_question(scenario: Scenario, progress: Progress, estimate: str | None) -> str:
    """The next one that was not asked: one level above the running estimate, so that the learner can show more, but not
    more than one above the hardest so far: the first answers tell little.

    Without an estimate the questions become harder one by one.
    """
    questions = scenario.questions or {}
    asked = [number for number, level in enumerate(LEVELS) if set(questions[level]) & set(progress.asked)]
    hardest = max(asked, default=LEVELS.index(FIRST) - 1)
    wanted = min(hardest + 1, len(LEVELS) - 1)
    if estimate is not None:
        wanted = min(wanted, LEVELS.index(estimate) + 1)
    by_distance = sorted(LEVELS, key=lambda level: (abs(LEVELS.index(level) - wanted), LEVELS.index(level)))
    left = (text for level in by_distance for text in questions[level] if text not in progress.asked)
    return next(left, questions[LEVELS[wanted]][0])
