"""NVIDIA cards that are not there: pynvml answers as if they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NoReturn

import pynvml
import pytest


@dataclass(frozen=True, slots=True)
class Present:
    """One card as NVML would report it; `total_bytes` None where it reports no memory."""

    name: str
    total_bytes: int | None
    uuid: str = "GPU-0"
    divided: bool = False


def raising(error: Exception) -> Callable[..., NoReturn]:
    def fail(*_: Any) -> NoReturn:
        raise error

    return fail


def nvml(monkeypatch: pytest.MonkeyPatch, *present: Present, driver: str = "580.65.06") -> list[str]:
    """A machine with these cards, without a driver where there are none; the list notes each time it is asked."""
    asked: list[str] = []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def start() -> None:
        asked.append("init")
        if not present:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    def by_uuid(uuid: str) -> Present:
        for card in present:
            if card.uuid == uuid:
                return card
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def memory(card: Present) -> SimpleNamespace:
        if card.total_bytes is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(total=card.total_bytes)

    for function, answer in {
        "nvmlInit": start,
        "nvmlShutdown": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: driver,
        "nvmlDeviceGetCount": lambda: len(present),
        "nvmlDeviceGetHandleByIndex": lambda number: present[number],
        "nvmlDeviceGetHandleByUUID": by_uuid,
        "nvmlDeviceGetName": lambda card: card.name,
        "nvmlDeviceGetMemoryInfo": memory,
        "nvmlDeviceGetMigMode": lambda card: [int(card.divided)] * 2,
    }.items():
        monkeypatch.setattr(pynvml, function, answer)
    return asked
