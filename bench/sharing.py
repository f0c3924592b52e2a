"""Processor sharing: work of several stages on the same cores, or on the same card."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

DONE_S = 1e-9
"""Work below this is done: a sum of floats seldom ends at zero."""
FIRST = "_first"
"""Ends the name of a stage's work up to its first result, which may slow down otherwise than the rest."""


@dataclass(slots=True, eq=False)
class _Job:
    left_s: float
    threads: float
    stage: str
    done: simpy.Event
    speed: float = 1.0


class Shared:
    """`capacity` cores that every thread gets an equal part of, as Linux gives it.

    A job is so many seconds of work at the speed it has alone, with so many threads on average
    (CPU time / time, so it may be a fraction). While the threads of all jobs are more than the
    cores, each job runs at capacity / threads of that speed. `slowdown[a][b]` is what stage a
    takes beside stage b against that: more than 1 for caches and spinning threads, less where
    both leave each other's pauses; of several the largest counts. `together[a]` is what the jobs of
    stage a take when 1, 2 ... of them run at once, for a stage that batches; beyond the last it grows as between
    the last two.

    A card of which nothing was measured is capacity 1 and one thread a job: kernels of different processes take turns.
    A measured one is of endless capacity, and `slowdown` says everything.
    """

    def __init__(
        self,
        env: simpy.Environment,
        capacity: float,
        slowdown: dict[str, dict[str, float]] | None = None,
        together: dict[str, list[float]] | None = None,
    ) -> None:
        self._env = env
        self._capacity = capacity
        self._slowdown = slowdown or {}
        self._together = together or {}
        self._jobs: list[_Job] = []
        self._since = env.now
        self._alarm = 0
        self.busy_s: dict[str, float] = {}
        """Core-seconds that each stage held."""

    def work(self, seconds: float, threads: float, stage: str) -> simpy.Event:
        """An event that comes when `seconds` of work are done."""
        job = _Job(seconds, threads, stage, self._env.event())
        self._advance()
        self._jobs.append(job)
        self._plan()
        return job.done

    def _advance(self) -> None:
        """Credit the time since the last change to every job."""
        passed, self._since = self._env.now - self._since, self._env.now
        load = self._load()
        for job in self._jobs:
            job.left_s -= passed * job.speed
            held = passed * job.threads / load
            stage = job.stage.removesuffix(FIRST)
            self.busy_s[stage] = self.busy_s.get(stage, 0.0) + held

    def _load(self) -> float:
        return max(1.0, sum(job.threads for job in self._jobs) / self._capacity)

    def _plan(self) -> None:
        """Finish what is done, set the speeds, and wake at the next end."""
        for job in [job for job in self._jobs if job.left_s <= DONE_S]:
            self._jobs.remove(job)
            job.done.succeed()
        load = self._load()
        for job in self._jobs:
            job.speed = 1 / (load * self._beside_others(job))
        self._alarm += 1
        if self._jobs:
            self._env.process(self._wake(min(job.left_s / job.speed for job in self._jobs), self._alarm))

    def _beside_others(self, job: _Job) -> float:
        stage, beside = job.stage.removesuffix(FIRST), self._slowdown.get(job.stage, {})
        others = [other.stage.removesuffix(FIRST) for other in self._jobs if other is not job]
        slowest = max((beside.get(other, 1.0) for other in others), default=1.0)
        if stage in self._together:
            slowest *= at(self._together[stage], others.count(stage) + 1)
        return slowest

    def _wake(self, delay: float, alarm: int) -> Generator[simpy.Event, Any, None]:
        yield self._env.timeout(delay)
        if alarm == self._alarm:  # nothing has changed since
            self._advance()
            self._plan()


def at(values: list[float], n: int) -> float:
    """The entry for n of a table for 1, 2 ...; beyond its end it grows as between the last two."""
    if n <= len(values):
        return values[n - 1]
    growth = values[-1] - values[-2] if len(values) > 1 else 0.0
    return values[-1] + growth * (n - len(values))
