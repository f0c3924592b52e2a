"""Debian's Chromium, driven by Playwright, and the microphone it believes to have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Playwright
from support.speech import Speaker, resampled, silence

from serve_app.audio import wav
from serve_app.protocols import STT_SAMPLE_RATE, Audio

CHROMIUM = Path("/usr/bin/chromium")
MICROPHONE_RATE = 48_000
"""What Chromium's fake device runs at: nothing is resampled on the way."""
LEAD_S = 0.8
"""The file plays from the moment the stream opens, and the page records a little later."""
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FAKE_DEVICE = "--use-fake-device-for-media-stream"
ALLOWED = "--use-fake-ui-for-media-stream"
REFUSED = "--deny-permission-prompts"


class Microphone:
    """The file that Chromium's fake device plays, once, each time a page opens the microphone."""

    def __init__(self, file: Path, speech: Speaker) -> None:
        self._file = file
        self._speech = speech
        self.says("Onde fica o banheiro, por favor?")

    def says(self, text: str) -> float:
        """What it says from the next time it is opened; how many seconds that takes."""
        return self._plays(np.concatenate([silence(LEAD_S), self._speech(text), silence(0.3)]))

    def is_silent(self, seconds: float) -> float:
        return self._plays(silence(seconds))

    def _plays(self, samples: Audio) -> float:
        part = self._file.with_suffix(".part")
        part.write_bytes(wav(resampled(samples, STT_SAMPLE_RATE, MICROPHONE_RATE), MICROPHONE_RATE))
        part.replace(self._file)
        return len(samples) / STT_SAMPLE_RATE

    @property
    def flags(self) -> tuple[str, ...]:
        return (FAKE_DEVICE, f"--use-file-for-fake-audio-capture={self._file}%noloop")


@contextmanager
def chromium(playwright: Playwright, *flags: str) -> Iterator[Browser]:
    """A browser with these flags besides those that keep it quiet."""
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing; scripts/install_chromium.sh installs it (as root)")
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *flags])
    try:
        yield browser
    finally:
        browser.close()
