"""Recordings with damage, as networks, disks and strangers make it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Damage = Callable[[bytearray, Random], None]

HEAD = 512
"""Bytes at the beginning in which headers and sizes stand."""
EXTREMES = (b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff\xff\xff\x7f")


def damaged(recording: bytes, random: Random) -> bytes:
    """The recording with one to four kinds of damage, the same for the same state of `random`."""
    data = bytearray(recording)
    for damage in random.choices(DAMAGES, k=random.randint(1, 4)):
        if data:
            damage(data, random)
    return bytes(data)


def _bits(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _junk(data: bytearray, random: Random) -> None:
    start = random.randrange(len(data))
    length = random.choice((1, 4, 16, 256, 4096))
    data[start : start + length] = random.randbytes(min(length, len(data) - start))


def _hole(data: bytearray, random: Random) -> None:
    start = random.randrange(len(data))
    end = min(len(data), start + random.choice((4, 512, 4096)))
    data[start:end] = bytes(end - start)


def _end(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data)) :]


def _beginning(data: bytearray, random: Random) -> None:
    del data[: random.randrange(min(len(data), 4096))]


def _repeated(data: bytearray, random: Random) -> None:
    start = random.randrange(len(data))
    piece = data[start : start + random.choice((4, 64, 4096))]
    data[start:start] = piece * random.choice((1, 3))


def _lost(data: bytearray, random: Random) -> None:
    start = random.randrange(len(data))
    del data[start : start + random.choice((1, 4, 64, 4096))]


def _sizes(data: bytearray, random: Random) -> None:
    start = random.randrange(min(len(data), HEAD))
    data[start : start + 4] = random.choice(EXTREMES)


def _shuffled(data: bytearray, random: Random) -> None:
    first, second = sorted(random.randrange(len(data)) for _ in range(2))
    data[:] = data[:first] + data[second:] + data[first:second]


DAMAGES: tuple[Damage, ...] = (_bits, _junk, _hole, _end, _beginning, _repeated, _lost, _sizes, _shuffled)
