"""What one client may use: turns at once, connections, and recordings a minute, of each API key and of each address.

All limits are off (0) by default: a class may share a key, and a school an address. An address of this machine is not
counted, since behind a proxy that does not pass addresses on, everybody has it. Of IPv6 the first 64 bits count, which
is what one household has.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serve_app.config.limits import Limits
from serve_app.errors import TooMany
from serve_app.routes.gate import Client

KNOWN = 10_000
"""Clients whose rate is remembered; the one that was silent longest is forgotten first."""
RETRY_AFTER_S = 5


class Shares:
    """The clients of one ingress replica. `limits` gives those in force."""

    def __init__(
        self, limits: Callable[[], Limits], clock: Callable[[], float] = time.monotonic, known: int = KNOWN
    ) -> None:
        self._limits = limits
        self._known = known
        self._clock = clock
        self._turns: Counter[str] = Counter()
        self._sessions: Counter[str] = Counter()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @contextmanager
    def turn(self, client: Client) -> Iterator[None]:
        """One of the client's turns, and one recording of its rate, while the block runs.

        Raises:
            TooMany: the client is over its share.
        """
        limits = self._limits()
        self._spend(names(client), limits.client_turns_per_minute)
        with _counted(self._turns, names(client), limits.client_turns, "turns"):
            yield

    @contextmanager
    def session(self, client: Client) -> Iterator[None]:
        """One of the client's connections, while the block runs.

        Raises:
            TooMany: the client is over its share.
        """
        with _counted(self._sessions, names(client), self._limits().client_sessions, "connections"):
            yield

    def _spend(self, clients: list[str], per_minute: float) -> None:
        """Take one recording from each client's bucket, which holds a minute's worth and fills as time passes."""
        if not per_minute:
            return
        now = self._clock()
        filled: dict[str, float] = {}
        for name in clients:
            left, seen = self._buckets.get(name, (per_minute, now))
            filled[name] = min(per_minute, left + (now - seen) * per_minute / 60)
            if filled[name] < 1:
                wait_s = math.ceil((1 - filled[name]) * 60 / per_minute)
                raise TooMany(f"More than {per_minute:g} recordings a minute; wait {wait_s} s.", retry_after_s=wait_s)
        for name, left in filled.items():
            self._buckets[name] = (left - 1, now)
            self._buckets.move_to_end(name)
        while len(self._buckets) > self._known:
            self._buckets.popitem(last=False)


def names(client: Client) -> list[str]:
    """Under which names a client is counted: its key, and its address unless that is of this machine."""
    found = [f"key {client.owner}"] if client.owner else []
    try:
        address = ipaddress.ip_address(client.address.partition("%")[0])
    except ValueError:
        return found
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_loopback:
        return found
    if isinstance(address, ipaddress.IPv6Address):
        return [*found, str(ipaddress.ip_network((address, 64), strict=False))]
    return [*found, str(address)]


@contextmanager
def _counted(counts: Counter[str], clients: list[str], most: int, what: str) -> Iterator[None]:
    if most and any(counts[name] >= most for name in clients):
        raise TooMany(f"More than {most} {what} at the same time; end one of them first.", retry_after_s=RETRY_AFTER_S)
    counts.update(clients)
    try:
        yield
    finally:
        for name in clients:
            counts[name] -= 1
            if counts[name] <= 0:
                del counts[name]
