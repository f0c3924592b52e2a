"""The CTranslate2 conversions of Whisper's published checkpoints. Imports nothing."""

from __future__ import annotations

_SYSTRAN = ("tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en")

CONVERSIONS: dict[str, str] = {
    **{f"openai/whisper-{size}": f"Systran/faster-whisper-{size}" for size in (*_SYSTRAN, "large-v2", "large-v3")},
    "openai/whisper-large": "Systran/faster-whisper-large-v1",
    "openai/whisper-large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "distil-whisper/distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-whisper/distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-whisper/distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "distil-whisper/distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-whisper/distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
}
"""Hub name of a checkpoint -> hub name of its conversion, as in faster-whisper's own table."""


def conversion_of(name: str) -> str:
    """The hub name of the CTranslate2 conversion of a checkpoint; any other name unchanged."""
    return CONVERSIONS.get(name, name)
