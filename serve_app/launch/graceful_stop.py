"""The operator's stop: every ingress replica refuses new turns, and the running ones may finish."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from serve_app.config.lint import StackFile
from serve_app.launch.serve_status import INGRESS

ANSWER_S = 5.0
POLL_S = 0.3
ASKED_TIMES = 16
"""Where there are several replicas: Serve chooses which one answers, and all have to be asked."""
AT_ONCE = "Ctrl-C again ends it at once"


@dataclass(frozen=True, slots=True)
class Stopping:
    """How far one ingress replica is."""

    replica: str
    turns: int
    left_s: float
    """How long its turns may still run."""
    done: bool


def finish_turns(stack: StackFile, say: Callable[[str], None]) -> None:
    """Let the running turns of a server that is ready finish, within `limits.stop_s`. An ingress that is dead or hangs
    is not waited for."""
    try:
        ingress = serve.get_deployment_handle(INGRESS, stack.application)
        several = stack.has_several_ingresses()
        now = _ask(ingress, several)
        turns = sum(one.turns for one in now.values())
        left_s = max(one.left_s for one in now.values())
        if not turns:
            say(f"stopping ({AT_ONCE})")
        else:
            say(f"stopping: {_count(turns)} running, at most {left_s:.0f} s ({AT_ONCE})")
        deadline = time.monotonic() + left_s + ANSWER_S
        while not all(one.done for one in now.values()) and time.monotonic() < deadline:
            time.sleep(POLL_S)
            now |= _ask(ingress, several)
        if turns:
            left = sum(one.turns for one in now.values())
            say(f"{_count(left)} could not be ended" if left else "no turn is running any more")
    except (RayError, RayServeException, TimeoutError) as error:
        say(f"stopping, without waiting for turns: the ingress does not answer ({type(error).__name__})")


def _ask(ingress: Any, several: bool) -> dict[str, Stopping]:
    asked = [ingress.stop.remote() for _ in range(ASKED_TIMES if several else 1)]
    answers: list[Stopping] = [one.result(timeout_s=ANSWER_S) for one in asked]
    return {one.replica: one for one in answers}


def _count(turns: int) -> str:
    return "1 turn" if turns == 1 else f"{turns} turns"
