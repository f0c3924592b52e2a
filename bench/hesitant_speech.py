"""Hesitant Portuguese for bench/turn_taking.py: bench/data/hesitant_speech.txt in three voices, with accents and noise.

Kokoro says each utterance in one go, so that the melody of what stands before a pause goes on; a forced alignment finds
the words, and the recording is cut open at each pause, where it is quietest between two words, and noise goes into the
gap. Recordings and cuts are kept beside the weights: the same text file gives the same samples.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from serve_app.audio import decode, smooth_edges, trim_silence, wav
from serve_app.engines.stt.faster_whisper import FasterWhisper
from serve_app.engines.stt.pronunciation import words_of
from serve_app.engines.tts.kokoro_onnx import KokoroOnnx
from serve_app.package_data import data_file
from serve_app.protocols import STT_SAMPLE_RATE, Audio, CefrLevel
from serve_app.weights.model_names import cache_folder, resolve

SENTENCES = Path(__file__).parent / "data/hesitant_speech.txt"
Part = Literal["development", "held-out"]

VOICES: dict[str, tuple[float, CefrLevel]] = {"pf_dora": (0.85, "A2"), "pm_alex": (0.95, "B1"), "pm_santa": (1.0, "C1")}
"""How fast each speaks, and at which level its learner is."""

ACCENTS = ("pt-br", "es", "pt-br", "it")
"""The languages with whose sounds the Portuguese text is read; "pt-br" is a native speaker. (English reads too much of
it wrong: Whisper base makes nonsense of it.)"""

PAUSE_FACTORS = (0.65, 1.0, 1.45)
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.3, 2.0

NOISES: dict[str, float | None] = {"quiet": None, "fan": 25.0, "street": 15.0}
"""Ratio of the powers of speech and noise in dB."""

QUIET_RMS = 3e-4
LEAD_S = 1.0
TAIL_S = 4.0
SEARCH_S = 0.06
"""How far from the aligned edge of a word the recording may be cut."""

WINDOW_S = 0.01
"""Of the energy by which the quietest place is found."""

FADE_MS = 8.0
"""Room before the first word and after the last one."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one learner says in one go.

    `audio` is at 16 kHz, [samples]. `pauses` are the (start, end) of the silences inside it and `end_s` is where the
    last word ends, all in seconds of the audio.
    """

    name: str
    kind: str
    text: str
    voice: str
    level: CefrLevel
    accent: str
    noise: str
    audio: Audio
    pauses: tuple[tuple[float, float], ...]
    end_s: float


@dataclass(frozen=True, slots=True)
class _Line:
    kind: str
    parts: tuple[str, ...]
    pauses: tuple[float, ...]


def utterances(part: Part) -> list[Utterance]:
    """Every line in every voice; says what was not said yet, a second of speech in about half a second."""
    said = _Voices()
    return [
        _utterance(line, number, turn, said) for number, line in enumerate(_lines(part)) for turn in range(len(VOICES))
    ]


def _lines(wanted: Part) -> Iterator[_Line]:
    part = kind = ""
    for line in SENTENCES.read_text("utf-8").splitlines():
        if line.startswith("## "):
            kind = line[3:]
        elif line.startswith("# "):
            part = line[2:]
        elif line and part == wanted:
            pieces = re.split(r"\[([\d.]+)\]", line)
            yield _Line(kind, tuple(piece.strip() for piece in pieces[::2]), tuple(map(float, pieces[1::2])))


def _utterance(line: _Line, number: int, turn: int, said: _Voices) -> Utterance:
    voice = list(VOICES)[turn]
    accent = ACCENTS[(number + turn) % len(ACCENTS)]
    noise = list(NOISES)[(number + 2 * turn) % len(NOISES)]
    factor = PAUSE_FACTORS[(number + turn) % len(PAUSE_FACTORS)]
    sounds = said(line.parts, voice, accent)
    pieces, pauses, at = [np.zeros(round(LEAD_S * STT_SAMPLE_RATE), np.float32)], [], LEAD_S
    for sound, pause in zip(sounds, (*line.pauses, None), strict=True):
        pieces.append(sound)
        at += len(sound) / STT_SAMPLE_RATE
        if pause is not None:
            silence = min(max(pause * factor, SHORTEST_PAUSE_S), LONGEST_PAUSE_S)
            pieces.append(np.zeros(round(silence * STT_SAMPLE_RATE), np.float32))
            pauses.append((at, at + silence))
            at += silence
    pieces.append(np.zeros(round(TAIL_S * STT_SAMPLE_RATE), np.float32))
    clean = np.concatenate(pieces)
    text = " ".join(line.parts)
    name = f"{hashlib.sha256(text.encode()).hexdigest()[:8]}.{voice}.{accent}.{noise}"
    audio = _in_noise(clean, sounds, NOISES[noise], number * len(VOICES) + turn)
    return Utterance(name, line.kind, text, voice, VOICES[voice][1], accent, noise, audio, tuple(pauses), at)


def _in_noise(clean: Audio, sounds: Sequence[Audio], ratio_db: float | None, seed: int) -> Audio:
    """Noise with the spectrum of a room, which falls by 3 dB an octave, under all of it."""
    loud = float(np.sqrt(np.mean(np.concatenate(sounds) ** 2)))
    rms = QUIET_RMS if ratio_db is None else loud / 10 ** (ratio_db / 20)
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(0, 1, len(clean)))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    noise = np.fft.irfft(spectrum, len(clean))
    noise *= rms / np.sqrt(np.mean(noise**2))
    return (clean + noise).clip(-1, 1).astype(np.float32)


class _Voices:
    """Kokoro and the aligner, asked once for each text, voice and accent."""

    def __init__(self) -> None:
        self._folder = cache_folder() / "bench" / "hesitant_speech"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._engines: dict[str, KokoroOnnx] = {}

    def __call__(self, parts: Sequence[str], voice: str, accent: str) -> list[Audio]:
        """The parts of one recording."""
        text, speed = " ".join(parts), VOICES[voice][0]
        path = self._folder / f"{hashlib.sha256(f'{voice} {accent} {speed} {text}'.encode()).hexdigest()[:16]}.wav"
        if not path.exists():
            path.write_bytes(asyncio.run(self._say(text, voice, accent, speed)))
        audio = trim_silence(decode(path.read_bytes(), max_seconds=60), STT_SAMPLE_RATE, keep_ms=10.0)
        if len(parts) == 1:
            return [audio]
        cuts = path.with_suffix(".json")
        if not cuts.exists():
            cuts.write_text(json.dumps(self._cuts(audio, parts)), "utf-8")
        pieces = np.split(audio, [round(at * STT_SAMPLE_RATE) for at in json.loads(cuts.read_text("utf-8"))])
        trimmed = [trim_silence(piece, STT_SAMPLE_RATE, keep_ms=10.0) for piece in pieces]
        return [smooth_edges(piece, STT_SAMPLE_RATE, FADE_MS) for piece in trimmed]

    async def _say(self, text: str, voice: str, accent: str, speed: float) -> bytes:
        if accent not in self._engines:
            voices = {path.stem: path for path in sorted(data_file("voices").glob("*.bin"))}
            self._engines[accent] = KokoroOnnx(resolve("wheel:kokoro-82m"), voices=voices, language=accent)
        engine = self._engines[accent]
        spoken = [part async for part in engine.synthesize(text, voice=voice, speed=speed)]
        return wav(np.concatenate(spoken), engine.sample_rate)

    @cached_property
    def _whisper(self) -> FasterWhisper:
        return FasterWhisper(resolve("wheel:whisper-base"))

    def _cuts(self, audio: Audio, parts: Sequence[str]) -> list[float]:
        """Where the recording is cut, in seconds: between the last word of a part and the first one of the next."""
        words = asyncio.run(self._whisper.pronounced(audio, " ".join(parts), language="pt"))
        cuts, last = [], -1
        for part in parts[:-1]:
            last += len(words_of(part))
            cuts.append(quietest(audio, words[last].end - SEARCH_S, words[last + 1].start + SEARCH_S))
        return cuts


def quietest(audio: Audio, start: float, end: float) -> float:
    """The middle of the quietest window between two times, in seconds."""
    size = round(WINDOW_S * STT_SAMPLE_RATE)
    first, last = round(start * STT_SAMPLE_RATE), round(max(end, start + 2 * WINDOW_S) * STT_SAMPLE_RATE)
    power = [float(np.mean(audio[at : at + size] ** 2)) for at in range(first, last - size, size // 4)]
    return (first + int(np.argmin(power)) * (size // 4) + size / 2) / STT_SAMPLE_RATE
