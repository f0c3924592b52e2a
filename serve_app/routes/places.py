"""The places for turns, and the bounded queue of those who wait for one.

A request gets its place, or its place in the queue, before its body is read, so a full server refuses it without taking
in megabytes. An upload that stays behind the least rate loses its place to the next one who asks: half-sent uploads
must not fill the server.

The queue is fair among clients, not among requests: whoever has fewest turns running goes first. A client that sends
eight recordings at once waits behind everybody who sends one, and the more others speak, the fewer of its turns run.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager

from serve_app.config.limits import Limits
from serve_app.errors import Busy, ParleError, TooSlow
from serve_app.routes.gate import Client
from serve_app.routes.shares import names
from serve_app.routes.upload import Upload

RETRY_AFTER_S = 5


class Place:
    """A place for a turn and the upload of its recording; at first perhaps one in the queue."""

    def __init__(self, client: str, changed: Callable[[], None]) -> None:
        self.client = client
        """Whom it is counted for; "" where that is not known."""
        self.taken = False
        """Whether it is a place for a turn already."""
        self._changed = changed
        self._upload: Upload | None = None
        self._number = 0
        self._refused: ParleError | None = None
        self._news = asyncio.Event()

    @property
    def upload(self) -> Upload | None:
        """What is still being received; None from the end of the upload on."""
        return self._upload

    @contextmanager
    def uploading(self, upload: Upload) -> Iterator[Upload]:
        """Until the block is left, the place may be lost; then reading `upload` raises TooSlow.

        Raises:
            ParleError: what the place in the queue was refused with meanwhile.
        """
        self._upload = upload
        try:
            yield upload
            if self._refused is not None:
                raise self._refused
        except TooSlow:
            if self._refused is None:
                raise
            raise self._refused from None
        finally:
            self._upload = None
            self._changed()

    async def numbers(self) -> AsyncGenerator[int, None]:
        """Its number in the queue, whenever that changes (1 is next); ends when it is a place for a turn.

        Raises:
            Busy: it lost its place in the queue to a client that has fewer.
            ParleError: what `refuse` was given.
        """
        told = 0
        while not self.taken:
            self._news.clear()
            if self._refused is not None:
                raise self._refused
            if told != self._number:
                told = self._number
                yield told
            else:
                await self._news.wait()

    def tell(self, number: int = 0, *, taken: bool = False, refused: ParleError | None = None) -> None:
        self._number, self.taken, self._refused = number, taken, refused
        self._news.set()
        if refused is not None and self._upload is not None:
            self._upload.end()


class Places:
    """Who has a place, and who waits for one. `limits` gives those in force."""

    def __init__(self, limits: Callable[[], Limits]) -> None:
        self._limits = limits
        self._taken: set[Place] = set()
        self._waiting: list[Place] = []

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @contextmanager
    def take(self, client: Client, *, wait: bool = False) -> Iterator[Place]:
        """A place while the block runs; where all are taken and the client would `wait`, one in the queue.

        Raises:
            Busy: all are taken, and none by an upload that is too slow; or the queue is full.
        """
        place = Place(next(iter(names(client)), ""), self._grant)
        most = self._limits().max_turns
        if len(self._taken) >= most:
            self._clear_slowest()
        if self._may_begin(place):  # then nobody waits who may and whose recording is here
            place.taken = True
            self._taken.add(place)
        elif wait and self._room_for(place):
            self._waiting.append(place)
            self._grant()
        elif len(self._taken) < most:
            raise Busy("Your other turns have all the places that one client may have.", retry_after_s=RETRY_AFTER_S)
        else:
            raise Busy(f"All {most} places are taken; try again in a few seconds.", retry_after_s=RETRY_AFTER_S)
        try:
            yield place
        finally:
            self._taken.discard(place)
            if place in self._waiting:
                self._waiting.remove(place)
            self._grant()

    def limits_changed(self) -> None:
        """There may be more places now."""
        self._grant()

    def refuse(self, why: ParleError) -> None:
        """Send all away who wait."""
        for place in self._waiting:
            place.tell(refused=why)
        self._waiting.clear()

    def _grant(self) -> None:
        """Give free places to those who wait, and tell the others where they stand."""
        for place in self._fair_order():
            if place.upload is None and self._may_begin(place):
                self._waiting.remove(place)
                self._taken.add(place)
                place.tell(taken=True)
        for number, place in enumerate(self._fair_order(), 1):
            place.tell(number)

    def _fair_order(self, *more: Place) -> list[Place]:
        """Those who wait: each client's turns count after those it has running; of equals the first comes first."""
        having = Counter(place.client for place in self._taken)
        rank: dict[Place, int] = {}
        for place in (*self._waiting, *more):
            rank[place] = having[place.client] if place.client else 0
            having[place.client] += 1
        return sorted(rank, key=lambda place: rank[place])

    def _may_begin(self, place: Place) -> bool:
        """Whether there is a place for it: of a client's share, less one for each other client that has a turn.

        The places are not what is short: the more turns of one client run, the longer the others wait in every stage.
        """
        limits = self._limits()
        if len(self._taken) >= limits.max_turns:
            return False
        if not place.client:
            return True
        clients = Counter(other.client for other in self._taken)
        others = len(clients.keys() - {place.client, ""})
        return clients[place.client] < max(1, limits.max_turns * limits.client_share - others)

    def _room_for(self, place: Place) -> bool:
        """Whether it may wait. In a full queue the client that waits with most makes room for one that has fewer."""
        if len(self._waiting) < self._limits().max_waiting:
            return True
        order = self._fair_order(place)
        last = order[-1]
        if last is place or not self._waiting:
            return False
        self._waiting.remove(last)
        last.tell(
            refused=Busy("Others who have no turn yet took this place in the queue.", retry_after_s=RETRY_AFTER_S)
        )
        return True

    def _clear_slowest(self) -> None:
        """Take its place from the slowest of the uploads that are behind, if there is one."""
        behind = [(place, place.upload) for place in self._taken if place.upload and place.upload.is_behind()]
        if behind:
            place, upload = min(behind, key=lambda one: one[1].rate())
            self._taken.discard(place)
            upload.end()
            self._grant()
