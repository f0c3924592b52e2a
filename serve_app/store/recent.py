"""What was used lately, up to a number and an age."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


@dataclass
class Recent(Generic[Thing]):
    """Keeps the `capacity` things that were put last, each for `idle_s` seconds."""

    capacity: int = 1000
    idle_s: float = 3600.0
    _kept: OrderedDict[str, tuple[float, Thing]] = field(default_factory=OrderedDict)

    def get(self, name: str) -> Thing | None:
        self._forget_idle()
        kept = self._kept.get(name)
        return kept[1] if kept else None

    def put(self, name: str, thing: Thing) -> None:
        self._kept[name] = (time.monotonic(), thing)
        self._kept.move_to_end(name)
        self._forget_surplus()

    def drop(self, name: str) -> bool:
        """Forget it; returns whether it was there."""
        self._forget_idle()
        return self._kept.pop(name, None) is not None

    def keep(self, capacity: int, idle_s: float) -> None:
        self.capacity, self.idle_s = capacity, idle_s
        self._forget_surplus()
        self._forget_idle()

    def _forget_surplus(self) -> None:
        while len(self._kept) > self.capacity:
            self._kept.popitem(last=False)

    def _forget_idle(self) -> None:
        oldest_kept = time.monotonic() - self.idle_s
        while self._kept and next(iter(self._kept.values()))[0] < oldest_kept:
            self._kept.popitem(last=False)
