"""The cards: those of this machine as nvidia-smi tells them, and those that the deployments name."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from serve_app.errors import StackError, did_you_mean
from serve_app.package_data import data_file

CARDS = data_file("cards.toml")
MIB = 2**20

USABLE = 0.975
"""Of what nvidia-smi reports, the part that programs can count on. CUDA offers them a little less than that total
(PyTorch's out-of-memory messages tell of 23.65 GiB on a GeForce with 24.0); how much less differs from driver to
driver, so this is an allowance, not a measurement."""

QUERY = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
NVIDIA_SMI_S = 5.0


@dataclass(frozen=True, slots=True)
class Card:
    """One kind of card, or one present card with its driver's version."""

    name: str
    total_bytes: int
    driver: str | None = None

    @property
    def usable_bytes(self) -> int:
        """What all the processes on it can have together."""
        return int(self.total_bytes * USABLE)


@cache
def known_cards() -> Mapping[str, Card]:
    """The cards of the catalogue by their name; aliases are left to `named`."""
    return {name: Card(name, entry["mib"] * MIB) for name, entry in _catalogue().items()}


@cache
def _catalogue() -> dict[str, dict]:
    return tomllib.loads(CARDS.read_text("utf-8"))


def named(name: str) -> Card:
    """The card of that name, however it is spelt: `L4`, `rtx4090`, `RTX 4090`, `a100`.

    Raises:
        StackError: no such card in the catalogue; names the nearest.
    """
    spelt = {_plain(alias): main for main, entry in _catalogue().items() for alias in (main, *entry.get("aliases", ()))}
    if (main := spelt.get(_plain(name))) is not None:
        return known_cards()[main]
    raise StackError(did_you_mean("GPU", name, known_cards()))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]|nvidia|geforce", "", name.lower())


def present_cards() -> list[Card]:
    """The NVIDIA cards that this process may use; none where nvidia-smi is missing or does not answer in time."""
    try:
        asked = subprocess.run(["nvidia-smi", *QUERY], capture_output=True, text=True, timeout=NVIDIA_SMI_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return visible(parse(asked.stdout), os.environ.get("CUDA_VISIBLE_DEVICES"))


def parse(csv: str) -> list[Card]:
    """The cards of nvidia-smi's answer to `QUERY`, one a line; lines without a size ([N/A]) are left out."""
    cards = []
    for line in csv.splitlines():
        name, _, rest = line.strip().rpartition(", ")[0].rpartition(", ")
        driver = line.rpartition(", ")[2].strip()
        if name and rest.strip().isdigit():
            cards.append(Card(name, int(rest) * MIB, driver))
    return cards


def visible(cards: list[Card], devices: str | None) -> list[Card]:
    """Those that CUDA_VISIBLE_DEVICES leaves; all where it is unset or names them by UUID."""
    wanted = [number.strip() for number in (devices or "").split(",")]
    if not all(number.isdigit() for number in wanted):
        return cards
    return [cards[int(number)] for number in wanted if int(number) < len(cards)]
