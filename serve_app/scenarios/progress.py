"""How far a conversation has got in its scenario. Small and plain, since it is stored with every turn."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from serve_app.scenarios.scenario import Scenario, Step

ASKED_AGAIN = 2
"""A step is asked for so often before the tutor goes on to the next; it comes back at the end."""
_SENTENCE = re.compile(r"[^.!?…]+[.!?…]*")
MOST_ASKED = 4
"""Then it is left: the learner wants something else."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Steps done, in the order in which they were, and those the tutor asked for, the latest last.

    Of a placement `done` are the numbers of the questions answered and `asked` the questions.
    """

    scenario: str
    done: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    goal: bool = False
    """The goal has been reached, and said so."""

    def having_asked(self, step: str) -> Progress:
        return replace(self, asked=(*self.asked, step))

    def data(self) -> dict[str, Any]:
        """As it is stored."""
        return {"id": self.scenario, "done": list(self.done), "asked": list(self.asked), "goal": self.goal}

    @classmethod
    def of(cls, data: dict[str, Any]) -> Progress:
        return cls(data["id"], tuple(data["done"]), tuple(data["asked"]), data["goal"])


def heard(scenario: Scenario, progress: Progress, utterance: str) -> Progress:
    """The progress after an utterance: a step may be done before the tutor asks for it.

    Who asks whether the bread is fresh has not ordered any.
    """
    asked_about = [answer.when for answer in scenario.answers]
    parts = _SENTENCE.findall(utterance)
    told = " ".join(part for part in parts if not any(one.seen_in(part) for one in asked_about))
    latest = progress.asked[-1] if progress.asked else None
    done = [
        step.id
        for step in scenario.steps
        if step.id not in progress.done and step.done.seen_in(utterance, asked=step.id == latest, told=told)
    ]
    return replace(progress, done=(*progress.done, *done))


def next_step(scenario: Scenario, progress: Progress) -> Step | None:
    """The step to ask for now; None if all are done or were asked for often enough."""
    left = [step for step in scenario.steps if step.id not in progress.done]
    rounds = {step.id: progress.asked.count(step.id) // ASKED_AGAIN for step in left}
    left = [step for step in left if rounds[step.id] * ASKED_AGAIN < MOST_ASKED]
    return min(left, key=lambda step: rounds[step.id], default=None)
