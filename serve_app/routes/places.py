"""The places for turns.

A request gets its place before its body is read, so a full server refuses it without taking in megabytes. An upload
that stays behind the least rate loses its place to the next one who asks: half-sent uploads must not fill the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from serve_app.errors import Busy
from serve_app.routes.upload import Upload

RETRY_AFTER_S = 5


class Place:
    """One place, taken by a turn or by the upload of its recording."""

    def __init__(self) -> None:
        self._upload: Upload | None = None

    @property
    def upload(self) -> Upload | None:
        """What is still being received; None from the end of the upload on."""
        return self._upload

    @contextmanager
    def uploading(self, upload: Upload) -> Iterator[Upload]:
        """Until the block is left, the place may be lost; then reading `upload` raises TooSlow."""
        self._upload = upload
        try:
            yield upload
        finally:
            self._upload = None


class Places:
    """Who has a place."""

    def __init__(self) -> None:
        self._taken: set[Place] = set()

    @contextmanager
    def take(self, most: int) -> Iterator[Place]:
        """A place, one of `most`, while the block runs.

        Raises:
            Busy: all are taken, and none by an upload that is too slow.
        """
        if len(self._taken) >= most and not self._clear_slowest():
            raise Busy(f"All {most} places are taken; try again in a few seconds.", retry_after_s=RETRY_AFTER_S)
        place = Place()
        self._taken.add(place)
        try:
            yield place
        finally:
            self._taken.discard(place)

    def _clear_slowest(self) -> bool:
        """Take its place from the slowest of the uploads that are behind; returns whether there was one."""
        behind = [(place, place.upload) for place in self._taken if place.upload and place.upload.is_behind()]
        if not behind:
            return False
        place, upload = min(behind, key=lambda one: one[1].rate())
        self._taken.discard(place)
        upload.end()
        return True
