"""Stages without models for tests with sound: they recognise the recordings they know and answer in audible tones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from serve_app.protocols import STT_SAMPLE_RATE, Audio, Speech, Transcript, Word
from support.stages import RATE, Ears, House, Voice, Writer

FRAME = 512
HOP = 320
"""20 ms at 16 kHz."""
BANDS = 24
HIGHEST_HZ = 4_000
"""Every codec and sample rate of the tests keeps what lies below."""
LEAST_LIKENESS = 0.6
QUIET_RMS = 0.002


def bands(audio: Audio) -> NDArray[np.float64]:
    """How loud each band of the sound is over time: [frames, bands], each band about its mean."""
    padded = np.pad(audio.astype(np.float64), (0, FRAME))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP] * np.hanning(FRAME)
    spectrum = np.abs(np.fft.rfft(frames))[:, 1 : round(HIGHEST_HZ * FRAME / STT_SAMPLE_RATE)]
    parts = np.array_split(spectrum, BANDS, axis=1)
    loudness = np.log(np.stack([part.mean(axis=1) for part in parts], axis=1) + 0.02)
    return loudness - loudness.mean(axis=0)


def likeness(known: NDArray[np.float64], heard: NDArray[np.float64]) -> float:
    """How alike they are where they match best: 1 the same, 0 unrelated. The heard one may have silence around it."""
    margin = len(known) // 4
    heard = np.pad(heard, ((margin, margin), (0, 0)))
    if len(heard) < len(known):
        return 0.0
    together = sum(np.correlate(heard[:, band], known[:, band], "valid") for band in range(BANDS))
    power = np.convolve((heard**2).sum(axis=1), np.ones(len(known)), "valid")
    return float(np.max(together / (np.sqrt(power) * np.linalg.norm(known) + 1e-9)))


@dataclass
class KnownSpeech(Ears):
    """Recognises recordings of the texts it knows by their sound, and nothing else: a garbled one it does not.

    `known` is each text's speech at 16 kHz. What is silent has no speech.
    """

    known: Mapping[str, Audio] = field(default_factory=dict)
    heard: list[Audio] = field(default_factory=list)

    async def transcribe(self, audio: Audio, said_before: str = "") -> Transcript:
        with self.work.at_work():
            await asyncio.sleep(self.takes_s)
            self.heard.append(audio)
            self.text = "" if np.sqrt(np.mean(audio**2)) < QUIET_RMS else self._recognise(audio)
            self.work.make(self.text)
            return Transcript(self.text, spelled(self.text), no_speech=not self.text)

    def _recognise(self, audio: Audio) -> str:
        sound = bands(audio)
        scores = {text: likeness(known, sound) for text, known in self._prints.items()}
        best, score = max(scores.items(), key=itemgetter(1), default=("nothing", 0.0))
        return best if score >= LEAST_LIKENESS else f"(not known; like {best!r} by {score:.2f})"

    @cached_property
    def _prints(self) -> dict[str, NDArray[np.float64]]:
        return {text: bands(samples) for text, samples in self.known.items()}


def spelled(text: str) -> tuple[Word, ...]:
    """The words of a text, a third of a second each; every fifth is doubtful."""
    return tuple(Word(word, i / 3, (i + 1) / 3, 0.2 if i % 5 == 3 else 0.95) for i, word in enumerate(text.split()))


@dataclass
class Tones(Voice):
    """Speaks as long as a person would read the text, in tones that fade in and out."""

    letter_s: float = 0.04

    async def synthesize(
        self, text: str, voice: str | None, speed: float | None, level_speed: float = 1.0, slack_s: float = 0.0
    ) -> AsyncGenerator[Speech, None]:
        self.asked.append((text, voice, speed))
        with self.work.at_work():
            await asyncio.sleep(self.part_s)
            self.work.make(text)
            samples = round(max(0.3, self.letter_s * len(text) / (speed or 1)) * RATE)
            fade = np.minimum(1, np.minimum(np.arange(samples), np.arange(samples)[::-1]) / (0.01 * RATE))
            tone = 0.3 * fade * np.sin(2 * np.pi * 220 * np.arange(samples) / RATE)
            yield Speech(tone.astype(np.float32), RATE)


def house_that_knows(known: Mapping[str, Audio], replies: Mapping[str, str] | None = None) -> House:
    """Stages that understand these recordings and answer at the pace of a fast model."""
    house = House()
    house.stt = KnownSpeech(house.stt.work, takes_s=0.15, known=known)
    house.llm = Writer(house.llm.work, replies=dict(replies or {}), word_s=0.02)
    house.tts = Tones(house.tts.work, part_s=0.05)
    return house
