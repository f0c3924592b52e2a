"""A conversation in its scenario: where it stands, what an LLM is told of it, and the tutor's words unasked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from serve_app.lesson.conversation import Conversation, Exchange
from serve_app.lesson.events import Event, InScenario, Opened
from serve_app.lesson.stage_protocols import Utterance
from serve_app.protocols import LevelEstimate
from serve_app.scenarios.library import FREE_TALK, Library
from serve_app.scenarios.progress import Progress
from serve_app.scenarios.scene import Scene, opening, prompt, scene_of, shown_step


@dataclass(frozen=True, slots=True)
class Unasked:
    """What the tutor says without having been spoken to, and the events that come before it."""

    text: str
    progress: Progress | None
    events: tuple[Event, ...]


Speaker = Callable[[Conversation, Utterance, str], Unasked]
"""Makes the tutor's words for a level."""


def progress_of(conversation: Conversation, utterance: Utterance) -> Progress | None:
    """How far the conversation has got: from the beginning where the client chose another scenario."""
    before, wanted = conversation.scenario, utterance.scenario
    if wanted is not None and (before is None or before.scenario != wanted):
        return Progress(wanted)
    return before


def scene_now(
    library: Library, progress: Progress | None, said: str, level: str, estimate: LevelEstimate | None
) -> Scene | None:
    """The scene after an utterance; None outside of one."""
    scenario = library.find(progress.scenario) if progress else None
    if scenario is None or progress is None:
        return None
    return scene_of(scenario, progress, said, level, estimate.probabilities if estimate else None)


def news_of(scene: Scene) -> InScenario:
    step = shown_step(scene.scenario, scene.progress, scene.step)
    return InScenario(scene.scenario.id, step, scene.progress.done, scene.goal)


def opened(library: Library, conversation: Conversation, utterance: Utterance, level: str) -> Unasked:
    """The opening of a lesson in the scenario that was chosen, or that the conversation is in; else of free talk."""
    progress = progress_of(conversation, utterance) or Progress(FREE_TALK)
    scenario = library.find(progress.scenario) or library.find(FREE_TALK)
    assert scenario is not None
    replies = tuple(exchange.tutor for exchange in conversation.exchanges if exchange.tutor)
    same = progress if progress.scenario == scenario.id else None
    made = opening(scenario, same, level, replies)
    events: list[Event] = [Opened(utterance.session_id, scenario.id, level)]
    if scenario.kind != "talk":
        asked = made.progress.asked[-1] if made.progress.asked else None
        step = shown_step(scenario, made.progress, asked)
        events.append(InScenario(scenario.id, step, made.progress.done, goal=False))
    return Unasked(made.text, made.progress, tuple(events))


def staged(
    library: Library, progress: Progress | None, exchanges: tuple[Exchange, ...], utterance: str = ""
) -> tuple[tuple[Exchange, ...], str]:
    """The history and the utterance for an LLM, with the scene before the first thing the learner said.

    There, since the tutor's own prompt is read once for all conversations, and what comes last changes every turn.
    """
    scenario = library.find(progress.scenario) if progress and not progress.goal else None
    if scenario is None or scenario.kind != "role-play":
        return exchanges, utterance
    scene = f"({prompt(scenario)})"
    if not exchanges:
        return exchanges, f"{scene} {utterance}"
    first, *others = exchanges
    return (replace(first, learner=f"{scene} {first.learner}".strip()), *others), utterance
