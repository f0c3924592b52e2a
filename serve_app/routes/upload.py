"""A request's body as it arrives: not larger than allowed, within a time, and at a least rate."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive

from serve_app.config.limits import Limits
from serve_app.errors import TooLarge, TooSlow

FORM_OVERHEAD_BYTES = 64_000
"""What multipart boundaries and the other fields may add to the size of the recording."""
GRACE_S = 5.0
"""For so long an upload may be slower than the least rate: networks pause."""
HURRY_S = 2.0
"""The same, while somebody else waits for the place."""


class Upload:
    """One body. Its `receive` takes the place of the request's own."""

    def __init__(self, receive: Receive, limits: Limits, *, declared: int | None, grace_s: float = GRACE_S) -> None:
        """`declared` is the Content-Length, if there is one.

        Raises:
            TooLarge: the declared size is over the limit.
        """
        self._receive = receive
        self._limits = limits
        self._grace_s = grace_s
        self._began = asyncio.get_running_loop().time()
        self._waiting: asyncio.Timeout | None = None
        self._ended = False
        self.received = 0
        """Bytes so far."""
        if declared is not None:
            self._check_size(declared)

    async def receive(self) -> Message:
        """The next message of the request.

        Raises:
            TooLarge: more bytes have come than allowed, whatever was declared.
            TooSlow: too few have come in the time, or `end` was called.
        """
        until = min(self._began + self._limits.upload_s, self._due(self._grace_s))
        try:
            if self._ended:
                raise TimeoutError
            async with asyncio.timeout_at(until) as self._waiting:
                message = await self._receive()
        except TimeoutError:
            raise TooSlow(
                f"Only {self.received / 1000:.0f} kB had arrived; send the recording again over a faster connection.",
                retry_after_s=1,
            ) from None
        finally:
            self._waiting = None
        self.received += len(message.get("body", b""))
        self._check_size(self.received)
        return message

    def rate(self) -> float:
        """Bytes a second so far."""
        return self.received / max(0.001, asyncio.get_running_loop().time() - self._began)

    def is_behind(self) -> bool:
        """Whether it is slower than the least rate, so that it has to make room for somebody else."""
        return asyncio.get_running_loop().time() > self._due(HURRY_S)

    def end(self) -> None:
        """Let whoever reads it fail with TooSlow."""
        self._ended = True
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    def _due(self, grace_s: float) -> float:
        """When the next byte is due."""
        return self._began + max(grace_s, self.received / (1000 * self._limits.upload_kb_s))

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_body_mb * 1e6 + FORM_OVERHEAD_BYTES:
            raise too_large(self._limits)


def too_large(limits: Limits) -> TooLarge:
    """The error for a recording over `limits.max_body_mb`."""
    return TooLarge(f"The recording is larger than {limits.max_body_mb:g} MB; send a shorter one.")
