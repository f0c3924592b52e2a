"""One soak: talkers on a server at work and at rest, faults on its processes, and what was wrong."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from serve_app.errors import StackError

from .soak_checks import RECOVERED_S, Known, Recovery, Turn, recoveries, wrong_conversation, wrong_turn
from .soak_faults import TARGETS, Striker, found, plan
from .soak_levels import MORE_FILES, Levels, files, growth, levels
from .soak_talkers import TALKERS, Talker, recordings, talker_of

MARGIN_S = 15.0
"""Over `limits.turn_s`: a turn that was cut is told so."""
LOADED_TURNS = 2
"""Of each talker without faults: what a turn takes under this load."""
TICK_S = 0.1
REST_S = 5.0
"""From the last turn until the processes are looked at."""


@dataclass
class Soak:
    """One run: who talks, what was done to the server, and what was seen. Times are seconds since its start."""

    url: str
    server: psutil.Process
    temporary: Path
    """Where the server's processes put temporary files."""
    keys: Sequence[str]
    """One for each talker, and one for the quiet turns."""
    began: float = field(default_factory=time.monotonic)
    wrong: list[str] = field(default_factory=list)
    talkers: list[Talker] = field(default_factory=list)
    known: Known = field(default_factory=lambda: Known((), ()))
    loaded_s: float = 0.0
    limit_s: float = 0.0
    loads: list[tuple[float, float]] = field(default_factory=list)
    """The machine's load average, once a second, and when it was that."""
    loaded: float = 0.0
    """The highest one while `loaded_s` was measured."""
    striker: Striker | None = None
    before: Levels = field(default_factory=dict)
    after: Levels = field(default_factory=dict)
    files_before: list[str] = field(default_factory=list)
    files_after: list[str] = field(default_factory=list)
    after_faults: list[Recovery] = field(default_factory=list)

    def clock(self) -> float:
        return time.monotonic() - self.began

    @property
    def turns(self) -> list[Turn]:
        return sorted((turn for talker in self.talkers for turn in talker.turns), key=lambda turn: turn.sent)

    def warm_up(self) -> None:
        """What each recording is heard as when nothing else runs, and what a turn takes when all talk."""
        audio = recordings()
        info = httpx.get(f"{self.url}/api/info", headers={"Authorization": f"Bearer {self.keys[0]}"}, timeout=30).json()
        self.limit_s = info["limits"]["turn_s"] + MARGIN_S
        texts = []
        for number in range(len(audio)):
            alone = Talker(0, self.url, self.keys[-1], audio[number : number + 1] * 2, self.clock, self.limit_s)
            turn = alone.once()
            if turn.transcript is None or not turn.complete:
                raise StackError(f"recording {number} was answered with {turn.outcome!r} before there was any fault")
            texts.append(turn.transcript)
        self.known = Known(texts, [talker_of(number) for number in range(len(audio))])
        self.talkers = [
            Talker(number, self.url, self.keys[number], audio, self.clock, self.limit_s) for number in range(TALKERS)
        ]
        with self.talking():
            while not all(len(talker.turns) >= LOADED_TURNS for talker in self.talkers):
                self._look()
        self.loaded_s = max(turn.ended - turn.sent for turn in self.turns)
        self.loaded = max(load for _, load in self.loads)
        self.wrong += [
            f"talker {turn.talker} was answered with {turn.outcome!r} before there was any fault"
            for turn in self.turns
            if not turn.complete
        ]
        self.rest()
        self.before, self.files_before = levels(self.server), files(self.temporary)

    def hit(self, seed: int, count: int, seconds: float) -> None:
        """Talk, and strike, until every talker was answered after the last fault."""
        there = [target for target in TARGETS if found(self.server, target)]
        with self.talking():
            self.striker = Striker(self.server, plan(seed, count, seconds, there), self.clock())
            try:
                while not self.striker.done:
                    self._look()
                    if struck := self.striker.tick(self.clock()):
                        print(f"{struck.at:6.0f} s  {struck.fault.target} {struck.how} ({struck.pid})", flush=True)
                over = self.clock()
                while self.clock() < over + self.limit_s + self.loaded_s and not self._answered_since(over):
                    self._look()
            finally:
                self.striker.resume_all()

    def _answered_since(self, moment: float) -> bool:
        return all(any(turn.complete and turn.sent > moment for turn in talker.turns) for talker in self.talkers)

    @contextlib.contextmanager
    def talking(self) -> Iterator[None]:
        enough = threading.Event()
        with ThreadPoolExecutor(TALKERS) as pool:
            runs = [pool.submit(talker.talk, enough) for talker in self.talkers]
            try:
                yield
            finally:
                enough.set()
            for run in runs:
                run.result()

    def _look(self) -> None:
        time.sleep(TICK_S)
        if not self.loads or self.clock() > self.loads[-1][0] + 1:
            self.loads.append((self.clock(), os.getloadavg()[0]))
        if not self.server.is_running() or self.server.status() == psutil.STATUS_ZOMBIE:
            raise StackError("the server has ended")

    def rest(self) -> None:
        """Until no turn runs; wrong where one still does after its limit."""
        until = time.monotonic() + self.limit_s
        headers = {"Authorization": f"Bearer {self.keys[0]}"}
        turns: Any = None
        while time.monotonic() < until and turns != 0:
            time.sleep(1)
            with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
                turns = httpx.get(f"{self.url}/api/info", headers=headers, timeout=10).json()["turns"]
        if turns != 0:
            self.wrong.append(f"turns that nobody waits for: {turns}")
        time.sleep(REST_S)

    def afterwards(self) -> None:
        """The conversations as they are kept, and the processes at rest."""
        self.rest()
        self.after, self.files_after = levels(self.server), files(self.temporary)
        for talker in self.talkers:
            try:
                kept = talker.conversation()
            except httpx.HTTPError as error:
                self.wrong.append(f"talker {talker.number}: its conversation cannot be read: {error!r}")
                continue
            self.wrong += [
                f"talker {talker.number}: its conversation {why}"
                for why in wrong_conversation(talker.turns, kept, self.known)
            ]
        self.wrong += growth(self.before, self.after)
        if len(new := sorted({*self.files_after} - {*self.files_before})) > MORE_FILES:
            self.wrong.append(f"{len(new)} more temporary files, such as {new[:3]}; the bound is {MORE_FILES}")

    def judge(self, *, whole: bool) -> None:
        """Every turn, and the time after every fault; a run that is not whole had no time for the last ones."""
        for turn in self.turns:
            session = self.talkers[turn.talker].session
            self.wrong += [
                f"{turn.sent:.0f} s, talker {turn.talker} ({turn.way}, {turn.turn_id}): {why}"
                for why in wrong_turn(turn, self.known, session, self.limit_s)
            ]
        struck = self.striker.struck if self.striker else []
        self.after_faults = recoveries(self.turns, [(one.at, one.over) for one in struck], TALKERS)
        for one in self.after_faults:
            hit = struck[one.fault]
            allowed = RECOVERED_S + self.loaded_s * self._heavier(hit.at, hit.over + one.undisturbed_s)
            if one.last and one.undisturbed_s > allowed and (whole or one.seconds != float("inf")):
                self.wrong.append(
                    f"{hit.at:.0f} s, {hit.fault.target} {hit.how}: talker {one.talker} was answered "
                    f"{one.undisturbed_s:.0f} s after it; allowed are {allowed:.0f} s"
                )

    def _heavier(self, begin: float, end: float) -> float:
        """How much higher the machine's load was at that time than when `loaded_s` was measured; at least 1."""
        loads = [load for at, load in self.loads if begin <= at <= end]
        return max(1.0, max(loads, default=0.0) / self.loaded) if self.loaded else 1.0
