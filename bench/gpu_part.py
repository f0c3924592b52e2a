"""One part of the measurement: its time, its rows (kept at once, so that a cut loses nothing), its files."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NEEDS = {"tts": ("qwen3", "faster_qwen3_tts"), "kokoro": ("kokoro", "kokoro"), "stt": ("turbo", "transformers")}
"""Per engine: its checkpoint, and the module of its library."""

SMI = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]


@dataclass(slots=True)
class Part:
    name: str
    folder: Path
    """For its rows and logs."""
    models: Path
    limit_s: float
    tiny: bool = False
    began: float = field(default_factory=time.monotonic)

    def left_s(self) -> float:
        return self.limit_s - (time.monotonic() - self.began)

    def row(self, **values: Any) -> None:
        """Keep one finding."""
        line = json.dumps(values, ensure_ascii=False, default=float)
        with (self.folder / f"{self.name}.jsonl").open("a", encoding="utf-8") as rows:
            rows.write(line + "\n")
        print(f"[{self.name} {time.monotonic() - self.began:5.1f} s] {line[:400]}", flush=True)

    def memory(self, names: Mapping[int, str], **more: Any) -> None:
        """What each process holds of the card, in GiB."""
        try:
            lines = subprocess.run(SMI, capture_output=True, text=True, timeout=10).stdout.strip().splitlines()
        except (OSError, subprocess.TimeoutExpired) as error:
            self.row(what="memory", error=repr(error), **more)
            return
        held = {}
        for line in lines:
            pid, _, mib = line.partition(",")
            if pid.strip().isdigit():
                held[names.get(int(pid), pid.strip())] = round(float(mib) / 1024, 2) if mib.strip().isdigit() else mib
        self.row(what="memory", gib=held, **more)


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def engine_wanted(kind: str, part: Part) -> bool:
    """Whether the engine's library and checkpoint are here."""
    checkpoint, module = NEEDS.get(kind, ("", "torch"))
    return has(module) and (not checkpoint or (part.models / checkpoint).exists())
