"""Who is hit in a soak, when, and how: SIGKILL, or SIGSTOP for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

import psutil

TITLES = {
    "ray::ServeReplica:parle:SpeechToText": "stt",
    "ray::ServeReplica:parle:CefrClassifier": "cefr",
    "ray::ServeReplica:parle:TutorLLM": "llm",
    "ray::ServeReplica:parle:TextToSpeech": "tts",
    "ray::ServeReplica:parle:Ingress": "ingress",
    "ray::ProxyActor": "proxy",
    "ray::ServeController": "controller",
    "ray::DashboardAgent": "agent",
}
ENGINE = "engine"
"""A process that a stage's replica has started, such as vLLM's EngineCore. The CPU stack has none."""
TARGETS = (*TITLES.values(), ENGINE)
STOP_S = (10.0, 40.0)
COMING_S = 60.0
"""How long a fault waits for a process that is being started again."""
SLOT_USED = 0.8
"""Each fault has its part of the time and strikes at random in the first of it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`at_s` after the start of the faults; `stop_s` is None for a SIGKILL."""

    at_s: float
    target: str
    stop_s: float | None

    @property
    def kind(self) -> str:
        return f"{self.target} {'killed' if self.stop_s is None else 'stopped'}"


@dataclass(slots=True)
class Struck:
    """What a fault did. Times are seconds since the soak began."""

    fault: Fault
    at: float
    over: float
    """Of a SIGKILL `at`; else when the process went on, or was found to have been replaced."""
    pid: int
    how: str = ""


def plan(seed: int, count: int, seconds: float, targets: Sequence[str]) -> list[Fault]:
    """So many faults over the time, every kind before any comes again; the same for the same seed."""
    random = Random(seed)
    kinds: list[tuple[str, bool]] = []
    while len(kinds) < count:
        deck = list(product(targets, (False, True)))
        random.shuffle(deck)
        kinds += deck
    slot = seconds / max(1, count)
    return [
        Fault(
            round((number + SLOT_USED * random.random()) * slot, 1),
            target,
            round(random.uniform(*STOP_S), 1) if stopped else None,
        )
        for number, (target, stopped) in enumerate(kinds[:count])
    ]


def title(process: psutil.Process) -> str:
    """Its command line; empty where it is gone."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def processes(server: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [server, *server.children(recursive=True)]
    return []


def role(process: psutil.Process) -> str | None:
    """Its name among the targets, if it has one."""
    shown = title(process)
    return next((name for prefix, name in TITLES.items() if shown.startswith(prefix)), None)


def found(server: psutil.Process, target: str) -> list[psutil.Process]:
    """The processes of that name, the youngest last."""
    family = processes(server)
    if target == ENGINE:
        replicas = [process for process in family if title(process).startswith("ray::ServeReplica:")]
        hit = [child for replica in replicas for child in processes(replica)[1:]]
    else:
        hit = [process for process in family if role(process) == target]
    return sorted(hit, key=lambda process: process.create_time())


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


class Striker:
    """Carries out a plan on a server's processes; `tick` it several times a second."""

    def __init__(self, server: psutil.Process, faults: Sequence[Fault], start: float) -> None:
        self._server = server
        self._left = list(faults)
        self._start = start
        self._stopped: list[tuple[float, psutil.Process, Struck]] = []
        self.struck: list[Struck] = []
        self.missed: list[Fault] = []
        """No such process was there in time."""

    @property
    def done(self) -> bool:
        return not self._left and not self._stopped

    def tick(self, now: float) -> Struck | None:
        """Do what is due; returns the fault that was done."""
        self._resume(now)
        if not self._left or now < self._start + self._left[0].at_s:
            return None
        fault = self._left[0]
        there = [process for process in found(self._server, fault.target) if alive(process)]
        if not there:
            if now > self._start + fault.at_s + COMING_S:
                self.missed.append(self._left.pop(0))
            return None
        self._left.pop(0)
        return self._strike(fault, there[-1], now)

    def _strike(self, fault: Fault, process: psutil.Process, now: float) -> Struck | None:
        struck = Struck(fault, now, now, process.pid)
        try:
            if fault.stop_s is None:
                process.kill()
                struck.how = "killed"
            else:
                process.suspend()
                struck.how, struck.over = "stopped", now + fault.stop_s
                self._stopped.append((now + fault.stop_s, process, struck))
        except psutil.NoSuchProcess:
            self.missed.append(fault)
            return None
        self.struck.append(struck)
        return struck

    def _resume(self, now: float) -> None:
        for entry in list(self._stopped):
            until, process, struck = entry
            if not alive(process):
                struck.how, struck.over = f"stopped, replaced after {now - struck.at:.0f} s", now
            elif now < until:
                continue
            else:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()
                struck.how, struck.over = f"stopped for {now - struck.at:.0f} s", now
            self._stopped.remove(entry)

    def resume_all(self) -> None:
        """Nobody is left standing, whatever ended the soak."""
        for _, process, _ in self._stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
        self._stopped.clear()
