"""One turn of a scenario: what an utterance changes, and what the tutor is to say because of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from serve_app.protocols import LEVELS
from serve_app.scenarios.placement import Placement, next_question, placed
from serve_app.scenarios.progress import Progress, heard, next_step
from serve_app.scenarios.scenario import Scenario, Step, for_level
from serve_app.teaching.openings import fresh
from serve_app.teaching.plan import Role
from serve_app.teaching.utterance_kind import Kind, kind_of
from serve_app.teaching.word_questions import answer

_NOT_ANSWERS: tuple[Kind, ...] = ("repeat", "thinking", "foreign", "off_task")
_GO_ON = {"A": "Vamos continuar!", "B": "Vamos continuar de onde paramos!"}


@dataclass(frozen=True, slots=True)
class Scene:
    """A scenario as it stands after an utterance, and the role that the reply is given in it."""

    scenario: Scenario
    progress: Progress
    """As the utterance left it; `asked` is not yet what the reply asks."""
    role: Role | None
    """None where nothing of the scene is left to say."""
    step: str | None = None
    """What the reply asks for."""
    again: bool = False
    """The learner did not answer: it asks for the same once more."""
    goal: bool = False
    """This utterance reached the goal."""
    placement: Placement | None = None

    def after(self, reply: str) -> Progress:
        """The progress once the reply is known: it may have left the question out."""
        if self.step is None or self.role is None or self.again or self.role.question not in reply:
            return self.progress
        return self.progress.having_asked(self.step)


@dataclass(frozen=True, slots=True)
class Opening:
    """What the tutor says first, and the progress then."""

    text: str
    progress: Progress


def opening(scenario: Scenario, progress: Progress | None, level: str, replies: tuple[str, ...] = ()) -> Opening:
    """The opening of a scenario, or of its continuation where it was begun and its goal not reached."""
    if progress is not None and not progress.goal and (progress.done or progress.asked):
        return _continued(scenario, progress, level)
    fresh_start = Progress(scenario.id)
    text = fresh(for_level(scenario.opener, level), replies)
    if scenario.kind == "placement":
        question = next_question(scenario, fresh_start, None)
        return Opening(f"{text} {question}", fresh_start.having_asked(question))
    if (step := next_step(scenario, fresh_start)) is not None:
        return Opening(text, fresh_start.having_asked(step.id))
    return Opening(text, fresh_start)


def scene_of(
    scenario: Scenario, progress: Progress, utterance: str, level: str, probabilities: dict[str, float] | None = None
) -> Scene | None:
    """The scene after an utterance; None once its goal is reached, and in free talk, which has none.

    `probabilities` are those of the level estimate, for a placement.
    """
    if progress.goal or scenario.kind == "talk":
        return None
    is_answer = kind_of(utterance) not in _NOT_ANSWERS and answer(utterance, level) is None
    if scenario.kind == "placement":
        return _placement(scenario, progress, level, probabilities or {}, is_answer=is_answer)
    if not is_answer and progress.asked and (same := scenario.step(progress.asked[-1])) is not None:
        role = Role(_asked(same, progress, level, before=1), reactions=tuple(scenario.reactions))
        return Scene(scenario, progress, role, same.id, again=True)
    now = heard(scenario, progress, utterance) if is_answer else progress
    new = [step for step in scenario.steps if step.id in now.done and step.id not in progress.done]
    answers = (one.say for one in scenario.answers if is_answer and one.when.seen_in(utterance))
    said = [*answers, *(step.say for step in new if step.say)][:2]
    say = " ".join(for_level(texts, level)[0] for texts in said)
    reactions = tuple(scenario.reactions)
    if len(now.done) == len(scenario.steps):
        closing = fresh(for_level(scenario.closing or {}, level), ())
        return Scene(scenario, replace(now, goal=True), Role(closing, say, reactions, closes=True), goal=True)
    step = next_step(scenario, now)
    if step is None:
        return Scene(scenario, now, None)
    return Scene(scenario, now, Role(_asked(step, now, level), say, reactions), step.id)


def prompt(scenario: Scenario) -> str:
    """The scene for an LLM, which speaks as the tutor's role."""
    return (
        f"Scene: {scenario.setting} You are {scenario.role}, not a teacher; speak as this person. "
        f"The learner's goal: {scenario.goal}"
    )


def shown_step(scenario: Scenario, progress: Progress, step: str | None) -> str | None:
    """The step as it is shown: of a placement the number of the question."""
    if step is None or scenario.kind != "placement":
        return step
    return str(len(progress.done) + 1)


def _asked(step: Step, progress: Progress, level: str, *, before: int = 0) -> str:
    """How the step is asked for: each time another way; `before` so many times."""
    texts = for_level(step.ask, level)
    return texts[(progress.asked.count(step.id) - before) % len(texts)]


def _continued(scenario: Scenario, progress: Progress, level: str) -> Opening:
    go_on = _GO_ON.get(level[0], _GO_ON["B"])
    if scenario.kind == "placement":
        question = progress.asked[-1]
        return Opening(f"{go_on} {question}", progress)
    step = next_step(scenario, progress)
    if step is None:
        return Opening(go_on, progress)
    return Opening(f"{go_on} {_asked(step, progress, level)}", progress.having_asked(step.id))


def _placement(
    scenario: Scenario, progress: Progress, level: str, probabilities: dict[str, float], *, is_answer: bool
) -> Scene:
    reactions = tuple(scenario.reactions)
    if not is_answer:
        question = progress.asked[-1] if progress.asked else next_question(scenario, progress, None)
        return Scene(scenario, progress, Role(question, reactions=reactions, acted=False), question, again=True)
    now = replace(progress, done=(*progress.done, str(len(progress.done) + 1)))
    if len(now.done) >= scenario.turns:
        result = placed(probabilities, len(now.done))
        closing = for_level(scenario.closing or {}, level)[0]
        role = Role(closing, result.said(), reactions, acted=False, closes=True)
        return Scene(scenario, replace(now, goal=True), role, goal=True, placement=result)
    estimate = max(probabilities, key=lambda one: probabilities[one]) if probabilities else None
    question = next_question(scenario, now, estimate if estimate in LEVELS else None)
    return Scene(scenario, now, Role(question, reactions=reactions, acted=False), question)
