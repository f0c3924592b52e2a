"""Kokoro's voices: the files that come with Parle, or a folder of the user's own."""

from __future__ import annotations

from pathlib import Path

from serve_app.errors import StackError
from serve_app.package_data import data_file


def voice_files(folder: Path | None) -> dict[str, Path]:
    """The files by the voices' names; None: those that come with Parle.

    Raises:
        StackError: there is none in that folder.
    """
    if folder is None:
        folder = data_file("voices")
    voices = {path.stem: path for path in sorted(folder.glob("*.bin"))}
    if not voices:
        raise StackError(f"tts.voices_folder: there is no voice file (NAME.bin) in {folder}.")
    return voices
