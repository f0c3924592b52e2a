"""How the event loop tells a worker thread that nobody waits for its result any more.

A thread cannot be cancelled from outside. The engines give each piece of blocking work a
scope, and the work looks at `scope.cancelled` wherever its library can be interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from types import TracebackType


class CancelScope:
    """Cancelled when its `with` block ends, however it ends, or when one of `events` is set.

    with CancelScope() as scope:
        await loop.run_in_executor(pool, work, scope)
    """

    def __init__(self, *events: Event) -> None:
        self._own = Event()
        self._events = (self._own, *events)

    def __enter__(self) -> CancelScope:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._own.set()

    @property
    def cancelled(self) -> bool:
        """Whether the work should stop; safe to read in any thread."""
        return any(event.is_set() for event in self._events)

    def child(self, event: Event) -> CancelScope:
        """A scope that is also cancelled when `event` is set: one utterance of a batch."""
        return CancelScope(*self._events, event)

    def children(self, count: int, events: Sequence[Event]) -> list[CancelScope]:
        """One scope for each of `count` utterances; without `events` all of them end with this one."""
        return [self.child(event) for event in events] if events else [self] * count
