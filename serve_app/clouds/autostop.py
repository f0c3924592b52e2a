"""Auto-stop: the watchdog that stops the machine once nobody has spoken for so many minutes.

It looks at the server's public /api/info. What it cannot see it does not stop: a server that does not
answer may be busy. Once it is idle long enough, those connected are warned; whatever any client does within
the warning calls the stop off. Then the server closes its door, and only after that is the provider asked to
stop the machine. If the provider refuses, or the machine still runs minutes later, the door is opened again
and the watchdog tries anew later: a stop that fails leaves a server that works.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from serve_app.errors import CloudError

Say = Callable[[str], None]


class Unknown(Exception):
    """The server did not answer, so nobody knows whether it is busy."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What the server says of itself. `idle_s` counts from the last sign of life of any client, 0 in a turn."""

    turns: int
    sessions: int
    idle_s: float


class House(Protocol):
    """The server. Every method may raise Unknown."""

    def activity(self) -> Activity: ...

    def warn(self, in_s: float) -> None:
        """Tell those connected."""
        ...

    def close(self) -> bool:
        """Let nobody in any more, unless somebody has done something since the warning; whether it is closed."""
        ...

    def reopen(self) -> None:
        """Take back an announced stop, or one that did not come about."""
        ...


class Machine(Protocol):
    """What the server runs on. Both methods raise CloudError."""

    def stop(self) -> None: ...

    def running(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Times:
    """All in seconds."""

    idle_s: float
    """Without a sign of life, before the warning."""
    warning_s: float = 60.0
    look_s: float = 30.0
    """Longest pause between two looks."""
    warned_look_s: float = 5.0
    confirm_s: float = 180.0
    """What the machine may take to stop once the provider has accepted."""
    confirm_look_s: float = 10.0
    retry_s: float = 300.0
    """Pause after a stop that failed."""


class Watchdog:
    """Watches one server on one machine."""

    def __init__(
        self,
        house: House,
        machine: Machine,
        times: Times,
        say: Say,
        *,
        stopped: Callable[[], None],
        over: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`stopped` is called once the machine is on its way down; `over` ends the watch."""
        self._house = house
        self._machine = machine
        self._times = times
        self._tell = say
        self._stopped = stopped
        self._over = over or threading.Event()
        self._clock = clock
        self._begun = clock()
        self._blind = False
        self._door_open = True

    def run(self) -> None:
        """Until the machine stops or the watch is over."""
        pause = min(self._times.look_s, self._times.idle_s)
        while not self._over.wait(pause):
            try:
                pause = self.look()
            except Exception as error:  # noqa: BLE001 - a watch that ends in silence costs money all night
                self._say(f"auto-stop: failed ({type(error).__name__}), watching on")
                pause = self._times.retry_s if self._door_open else self._times.confirm_look_s

    def _say(self, text: str) -> None:
        """A terminal that is gone must not end the watch; a broken pipe ends a program that prints (rich)."""
        with suppress(Exception, SystemExit):
            self._tell(text)

    def look(self) -> float:
        """One look, and what follows from it; seconds until the next one."""
        times = self._times
        try:
            if not self._door_open:
                self._reopen()
            activity = self._house.activity()
            self._sighted()
            if (left := self._left(activity)) > 0:
                return min(max(left, 1.0), times.look_s)
            return self._stop(activity)
        except Unknown as error:
            if not self._blind:
                self._say(f"auto-stop: cannot tell whether anyone is here ({error}), so nothing is stopped")
            self._blind = True
            return times.look_s

    def _sighted(self) -> None:
        if self._blind:
            self._say("auto-stop: watching again")
        self._blind = False

    def _stop(self, activity: Activity) -> float:
        times = self._times
        self._say(
            f"auto-stop: no sign of life for {times.idle_s / 60:g} min, {activity.sessions} connected; "
            f"stopping in {times.warning_s:.0f} s"
        )
        self._house.warn(times.warning_s)
        if not self._warned():
            return times.look_s
        self._door_open = False  # from here on it may be shut, whatever the answer to close() is
        if not self._house.close():
            self._called_off()
            return times.look_s
        return self._stop_machine()

    def _warned(self) -> bool:
        """Wait until the announced time; False where the stop was called off, or nobody can tell any more."""
        times = self._times
        stop_at = self._clock() + times.warning_s
        while (left := stop_at - self._clock()) > 0:
            if self._over.wait(min(left, times.warned_look_s)):
                return False
            try:
                activity = self._house.activity()
            except Unknown:
                self._door_open = False  # the announcement is taken back as soon as the server answers
                raise
            if self._left(activity) > 0:
                self._called_off()
                return False
        return True

    def _called_off(self) -> None:
        self._say("auto-stop: called off, somebody is here")
        self._door_open = False
        self._reopen()  # for those who were told; the server may not have noticed by itself

    def _stop_machine(self) -> float:
        try:
            self._machine.stop()
        except CloudError as error:
            self._say(f"auto-stop: {error.message} Serving on; next try in {self._times.retry_s / 60:.0f} min.")
        else:
            confirmed = self._confirmed()
            if self._over.is_set():
                return 0.0  # the server stops already: Ctrl-C, or the machine's own shutdown
            if confirmed:
                self._say("auto-stop: the machine stops")
                self._stopped()
                self._over.set()
                return 0.0
            self._say(f"auto-stop: the machine runs on; serving on, next try in {self._times.retry_s / 60:.0f} min")
        self._reopen()
        return self._times.retry_s

    def _confirmed(self) -> bool:
        """Whether the machine is seen to stop, or nothing is seen of it at all after the provider said yes."""
        seen_running = False
        give_up_at = self._clock() + self._times.confirm_s
        while self._clock() < give_up_at and not self._over.wait(self._times.confirm_look_s):
            try:
                if not self._machine.running():
                    return True
                seen_running = True
            except CloudError:
                continue
        return not seen_running

    def _reopen(self) -> None:
        self._house.reopen()
        self._door_open = True

    def _left(self, activity: Activity) -> float:
        """Seconds until this server has been idle long enough since it was ready; some while a turn runs."""
        idle_s = 0.0 if activity.turns else min(activity.idle_s, self._clock() - self._begun)
        return self._times.idle_s - idle_s
