"""Descriptors, memory, threads and temporary files of a server at rest, before and after."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from .soak_faults import TITLES, processes, role

MORE_DESCRIPTORS = 32
LOG_MONITOR, OPEN_LOGS = "log_monitor.py", 200
"""It keeps the logs of the processes that have died open, too, and closes all of them when they are so many."""
MORE_THREADS = 16
MORE_MB = 150
MORE_FILES = 10


@dataclass(frozen=True, slots=True)
class Level:
    """One process at rest."""

    name: str
    descriptors: int
    threads: int
    resident_mb: float


Levels = Mapping[tuple[int, float], Level]
"""By process id and the time it was started."""


def levels(server: psutil.Process) -> Levels:
    """Of the server's process and all below it; idle workers of Ray come and go."""
    measured = {}
    for process in processes(server):
        with contextlib.suppress(psutil.Error):
            measured[process.pid, process.create_time()] = Level(
                role(process) or _plain_name(process),
                process.num_fds(),
                process.num_threads(),
                process.memory_info().rss / 1e6,
            )
    return measured


def _plain_name(process: psutil.Process) -> str:
    shown = process.cmdline()
    if process.name().startswith("python"):
        return next((Path(part).name for part in shown[1:] if part.endswith((".py", "/parle"))), "python")
    return shown[0].split()[0].rpartition("/")[2] if shown else process.name()


def survivors(before: Levels, after: Levels) -> list[tuple[int, Level, Level]]:
    return [(one[0], before[one], after[one]) for one in before if one in after]


def growth(before: Levels, after: Levels) -> list[str]:
    """Processes that live on and have grown, and names of which there are more than before."""
    found = []
    for pid, was, now in survivors(before, after):
        for what, more, bound in (
            (
                "descriptors",
                now.descriptors - was.descriptors,
                OPEN_LOGS if was.name == LOG_MONITOR else MORE_DESCRIPTORS,
            ),
            ("threads", now.threads - was.threads, MORE_THREADS),
            ("MB", now.resident_mb - was.resident_mb, MORE_MB),
        ):
            if more > bound:
                found.append(f"{was.name} ({pid}) has {more:.0f} more {what}; the bound is {bound}")
    return found + left_behind([one.name for one in before.values()], [one.name for one in after.values()])


def left_behind(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """A replaced process that still lives beside its successor, or one without a successor."""
    pairs = [(name, before.count(name), after.count(name)) for name in TITLES.values()]
    return [f"{now} processes {name}, before {was}" for name, was, now in pairs if was != now]


def files(folder: Path) -> list[str]:
    """Names of the files below it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
