"""The NVIDIA cards of this machine, and the catalogue of those that the deployments name."""

from __future__ import annotations

import os
import re
import threading
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from serve_app.errors import StackError, did_you_mean
from serve_app.package_data import data_file

CARDS = data_file("cards.toml")
MIB = 2**20

USABLE = 0.975
"""Part of a card's reported memory that programs can count on. CUDA offers them a little less than the reported total
(PyTorch's out-of-memory messages speak of 23.65 GiB on a GeForce with 24.0); how much less depends on the driver, so
this is an allowance, not a measurement."""

CONTEXT_BYTES = 512 * MIB
"""A process's CUDA context: the loaded kernels and the libraries' own buffers, outside of any allocator's limit."""
LARGE_CONTEXT_BYTES = 870 * MIB
"""The same on a card with many multiprocessors, each of which has its part: 0.6 to 0.85 GiB were seen on an H200."""
LARGE_BYTES = 36 * 1024 * MIB
"""From here on a card is a large one."""


def context_bytes(total_bytes: int) -> int:
    """A process's CUDA context on a card with that much memory."""
    return LARGE_CONTEXT_BYTES if total_bytes >= LARGE_BYTES else CONTEXT_BYTES


NVML_S = 5.0
"""How long the driver may take to answer."""


@dataclass(frozen=True, slots=True)
class Card:
    """One kind of card, or one present card with its driver's version."""

    name: str
    total_bytes: int
    driver: str | None = None
    divided: bool = False
    """MIG is on: its parts are to programs what a card is otherwise."""

    @property
    def usable_bytes(self) -> int:
        """Memory that all processes on the card can have together."""
        return int(self.total_bytes * USABLE)


@cache
def known_cards() -> Mapping[str, Card]:
    """The cards of the catalogue by their name; aliases are left to `named`."""
    return {name: Card(name, entry["mib"] * MIB) for name, entry in _catalogue().items()}


@cache
def _catalogue() -> dict[str, dict]:
    return tomllib.loads(CARDS.read_text("utf-8"))


def named(name: str) -> Card:
    """The card of that name in any common spelling: `L4`, `rtx4090`, `RTX 4090`, `a100`.

    Raises:
        StackError: not in the catalogue; the message names the nearest.
    """
    spelt = {_plain(alias): main for main, entry in _catalogue().items() for alias in (main, *entry.get("aliases", ()))}
    if (main := spelt.get(_plain(name))) is not None:
        return known_cards()[main]
    raise StackError(did_you_mean("GPU", name, known_cards()))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]|nvidia|geforce", "", name.lower())


def present_cards() -> list[Card]:
    """The NVIDIA cards that this process may use, from the driver (NVML).

    Empty where there is no driver, or it does not answer in time. A card that reports no memory is left out.
    """
    return [card for card in _asked() if card.total_bytes]


def present_count() -> int:
    """How many cards this process may use, including those that report no memory."""
    return len(_asked())


def divided_cards() -> bool:
    """Whether MIG divides one of the cards that this process may use."""
    return any(card.divided for card in _asked())


def smallest(cards: Sequence[Card]) -> Card:
    """The card that a share is measured on: Ray treats all cards as equal."""
    return min(cards, key=lambda card: card.total_bytes)


def _asked() -> list[Card]:
    """In a thread of its own, because a call into a hung driver does not return."""
    found: list[Card] = []
    asking = threading.Thread(target=lambda: found.extend(_ask_nvml()), name="nvml", daemon=True)
    asking.start()
    asking.join(NVML_S)
    return [] if asking.is_alive() else found


def _ask_nvml() -> list[Card]:
    try:
        import pynvml
    except ImportError:  # an environment without it has no engine that uses a card
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        driver = pynvml.nvmlSystemGetDriverVersion()
        return [_card(handle, driver) for handle in _handles(os.environ.get("CUDA_VISIBLE_DEVICES", ""))]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def _handles(visible: str) -> list[Any]:
    """The cards that CUDA_VISIBLE_DEVICES leaves, by number or UUID; all where it says nothing NVML knows."""
    import pynvml

    everything = range(pynvml.nvmlDeviceGetCount())
    wanted = [name.strip() for name in visible.split(",") if name.strip()]
    if wanted and all(name.isdigit() for name in wanted):
        return [pynvml.nvmlDeviceGetHandleByIndex(int(name)) for name in wanted if int(name) in everything]
    try:
        found = [pynvml.nvmlDeviceGetHandleByUUID(name) for name in wanted]
    except pynvml.NVMLError:  # CUDA also takes the start of a UUID
        found = []
    return found or [pynvml.nvmlDeviceGetHandleByIndex(number) for number in everything]


def _card(handle: Any, driver: str) -> Card:
    import pynvml

    try:
        total = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
    except pynvml.NVMLError as error:
        if getattr(error, "value", None) != pynvml.NVML_ERROR_NOT_SUPPORTED:
            raise
        total = 0  # a chip that shares the machine's memory
    return Card(pynvml.nvmlDeviceGetName(handle), total, driver, _divided(handle))


def _divided(handle: Any) -> bool:
    import pynvml

    try:
        now, _ = pynvml.nvmlDeviceGetMigMode(handle)
    except pynvml.NVMLError:  # a card that knows no MIG
        return False
    return now == pynvml.NVML_DEVICE_MIG_ENABLE
