"""The sound of texts that are said again and again, so that they are synthesised once for each voice and speed.

Kept in memory, and in a folder for the next start of the server.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from serve_app.protocols import Audio

MOST = 500
"""Sounds kept in memory, some 100 kB each; files are as many as texts, voices and speeds of the stack's own."""


class KeptSpeech:
    """Sounds of `texts` only. `made_by` names what decides how they sound: engine, model, version.

    A folder that cannot be written is not an error: the sounds are then made again after the next start.
    """

    def __init__(self, texts: Iterable[str], folder: Path | None, made_by: str) -> None:
        self._texts = frozenset(texts)
        self._folder = folder
        self._made_by = made_by
        self._sounds: OrderedDict[tuple[str, str, float], Audio] = OrderedDict()

    def keeps(self, text: str) -> bool:
        return text in self._texts

    def find(self, text: str, voice: str, speed: float) -> Audio | None:
        """The sound, shape [samples]; None if it was not made yet."""
        if text not in self._texts:
            return None
        key = (text, voice, speed)
        if key not in self._sounds:
            sound = self._read(key)
            if sound is None:
                return None
            self._add(key, sound)
        self._sounds.move_to_end(key)
        return self._sounds[key]

    def keep(self, text: str, voice: str, speed: float, sound: Audio) -> None:
        key = (text, voice, speed)
        self._add(key, sound)
        if (path := self._path(key)) is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.{id(self)}.draft")
            with draft.open("wb") as file:
                np.save(file, sound)
            draft.replace(path)
        except OSError:
            self._folder = None

    def _add(self, key: tuple[str, str, float], sound: Audio) -> None:
        self._sounds[key] = sound
        while len(self._sounds) > MOST:
            self._sounds.popitem(last=False)

    def _read(self, key: tuple[str, str, float]) -> Audio | None:
        path = self._path(key)
        try:
            return None if path is None else np.load(path)
        except (OSError, ValueError, EOFError):
            return None

    def _path(self, key: tuple[str, str, float]) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / f"{hashlib.sha256(f'{self._made_by} {key}'.encode()).hexdigest()[:32]}.npy"
