"""Auto-stop: a watchdog that stops the machine when no client has been active for some minutes.

It polls the server's public /api/info. A server that does not answer is not stopped: it may be busy. After the idle
time, connected clients are warned; any client activity during the warning cancels the stop. Then the server refuses new
clients, and only after that is the provider asked to stop the machine. If the provider refuses, or the machine still
runs minutes later, the server accepts clients again and the watchdog retries later: a stop that fails leaves a server
that works.
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
    """How busy the server is. `idle_s` counts from the last activity of any client, and is 0 during a turn."""

    turns: int
    sessions: int
    idle_s: float


class Server(Protocol):
    """The server that is watched. Every method may raise Unknown."""

    def activity(self) -> Activity: ...

    def warn(self, in_s: float) -> None:
        """Tell connected clients that the server stops in `in_s` seconds."""
        ...

    def close(self) -> bool:
        """Refuse new clients, unless one was active since the warning; returns whether it refuses them."""
        ...

    def reopen(self) -> None:
        """Accept clients again, and withdraw an announced stop."""
        ...


class Machine(Protocol):
    """The machine that the server runs on. Both methods may raise CloudError."""

    def stop(self) -> None: ...

    def running(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Times:
    """All in seconds."""

    idle_s: float
    """Without any client activity, before the warning."""
    warning_s: float = 60.0
    look_s: float = 30.0
    """Longest pause between two polls."""
    warned_look_s: float = 5.0
    confirm_s: float = 180.0
    """How long the machine may take to stop after the provider has accepted."""
    confirm_look_s: float = 10.0
    retry_s: float = 300.0
    """Pause after a failed stop."""


class Watchdog:
    """Watches one server on one machine."""

    def __init__(
        self,
        server: Server,
        machine: Machine,
        times: Times,
        say: Say,
        *,
        stopped: Callable[[], None],
        over: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`stopped` is called when the machine is stopping; `over` ends the watch; `say` prints a line."""
        self._server = server
        self._machine = machine
        self._times = times
        self._tell = say
        self._stopped = stopped
        self._over = over or threading.Event()
        self._clock = clock
        self._begun = clock()
        self._unreachable = False
        self._accepting = True

    def run(self) -> None:
        """Watch until the machine stops or `over` is set."""
        pause = min(self._times.look_s, self._times.idle_s)
        while not self._over.wait(pause):
            try:
                pause = self.look()
            except Exception as error:  # noqa: BLE001 - a watchdog that dies silently costs money all night
                self._say(f"auto-stop: error ({type(error).__name__}), still watching")
                pause = self._times.retry_s if self._accepting else self._times.confirm_look_s

    def _say(self, text: str) -> None:
        """Print a line. A terminal that is gone must not end the watch: on a broken pipe rich raises SystemExit."""
        with suppress(Exception, SystemExit):
            self._tell(text)

    def look(self) -> float:
        """Poll once and act on it; returns the seconds until the next poll."""
        times = self._times
        try:
            if not self._accepting:
                self._reopen()
            activity = self._server.activity()
            self._answered()
            if (left := self._left(activity)) > 0:
                return min(max(left, 1.0), times.look_s)
            return self._stop(activity)
        except Unknown as error:
            if not self._unreachable:
                self._say(f"auto-stop: the server does not answer ({error}), so nothing is stopped")
            self._unreachable = True
            return times.look_s

    def _answered(self) -> None:
        if self._unreachable:
            self._say("auto-stop: watching again")
        self._unreachable = False

    def _stop(self, activity: Activity) -> float:
        times = self._times
        self._say(
            f"auto-stop: no client activity for {times.idle_s / 60:g} min, {activity.sessions} connected; "
            f"stopping in {times.warning_s:.0f} s"
        )
        self._server.warn(times.warning_s)
        if not self._warned():
            return times.look_s
        self._accepting = False  # it may refuse clients from here on, whatever close() answers
        if not self._server.close():
            self._cancelled()
            return times.look_s
        return self._stop_machine()

    def _warned(self) -> bool:
        """Wait until the announced time; False where the stop was cancelled or the watch ended."""
        times = self._times
        stop_at = self._clock() + times.warning_s
        while (left := stop_at - self._clock()) > 0:
            if self._over.wait(min(left, times.warned_look_s)):
                return False
            try:
                activity = self._server.activity()
            except Unknown:
                self._accepting = False  # the announcement is withdrawn as soon as the server answers
                raise
            if self._left(activity) > 0:
                self._cancelled()
                return False
        return True

    def _cancelled(self) -> None:
        self._say("auto-stop: cancelled, a client is active")
        self._accepting = False
        self._reopen()  # also tells the clients that were warned; the server may not have noticed by itself

    def _stop_machine(self) -> float:
        try:
            self._machine.stop()
        except CloudError as error:
            self._say(f"auto-stop: {error.message} Serving on; next try in {self._times.retry_s / 60:.0f} min.")
        else:
            confirmed = self._confirmed()
            if self._over.is_set():
                return 0.0  # the server is stopping already: Ctrl-C, or the machine's own shutdown
            if confirmed:
                self._say("auto-stop: the machine stops")
                self._stopped()
                self._over.set()
                return 0.0
            self._say(f"auto-stop: the machine still runs; serving on, next try in {self._times.retry_s / 60:.0f} min")
        self._reopen()
        return self._times.retry_s

    def _confirmed(self) -> bool:
        """Whether the machine has stopped, or cannot be seen at all, after the provider accepted the stop."""
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
        self._server.reopen()
        self._accepting = True

    def _left(self, activity: Activity) -> float:
        """Seconds of idle time that are missing before a stop; all of them while a turn runs."""
        idle_s = 0.0 if activity.turns else min(activity.idle_s, self._clock() - self._begun)
        return self._times.idle_s - idle_s
