"""Portuguese speech by Kokoro: clean, with an accent, in noise, in a room; and how to judge what is heard."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Literal

import av
import numpy as np

from bench.word_errors import edits
from serve_app.audio import decode, wav
from serve_app.engines.tts.kokoro_onnx import KokoroOnnx
from serve_app.protocols import STT_SAMPLE_RATE, Audio, Transcript
from serve_app.weights.model_names import resolve
from support.containers import encode_pieces
from support.paths import ROOT

RECORDINGS = ROOT / "tests/data/speech"
BIT_RATE = 32_000
LONGEST_S = 120
VOICES_FOLDER = ROOT / "serve_app/data/voices"
VOICE_NAMES = ("pf_dora", "pm_alex", "pm_santa")

SENTENCES = (
    "Ontem eu fui ao mercado e comprei frutas e leite.",
    "No fim de semana passado nós visitamos meus avós.",
    "Quando eu era criança, eu brincava na rua com meus amigos.",
    "Amanhã vou ao cinema com a minha irmã se não chover.",
    "Eu gosto de café e de pão com queijo.",
    "Onde fica o banheiro, por favor?",
    "Eu trabalho em um banco perto da praia.",
    "Meu irmão gosta de jogar futebol no parque.",
    "Minha namorada fala português muito bem.",
    "Eles querem comprar uma casa nova no campo.",
    "Você pode me ajudar com a lição de casa?",
    "Hoje está muito quente e eu quero tomar um sorvete.",
    "Nós viajamos para o Rio de Janeiro no verão.",
    "O ônibus chegou atrasado por causa do trânsito.",
    "Ela estuda medicina na universidade de São Paulo.",
    "Preciso comprar um presente para a minha mãe.",
    "O meu cachorro dorme no sofá da sala.",
    "Se eu tivesse dinheiro, eu viajaria pelo mundo inteiro.",
    "A professora explicou o exercício duas vezes.",
    "Vamos jantar em um restaurante italiano na sexta-feira.",
    "Eu acordo às seis horas e tomo banho.",
    "Faz dois anos que eu moro no Brasil.",
)
"""What learners say in the tests of speech recognition."""

Accent = Literal["pt-br", "es", "it", "en-us"]
"""The language whose sounds the Portuguese text is read with; "pt-br" is a native speaker."""


Listener = Callable[[Audio, int], Transcript]
"""Transcribes samples of a rate."""


def file_name(text: str, voice: str, accent: Accent) -> str:
    """Of a recording: the first words for whoever reads the folder, a hash of the whole text."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = "-".join(re.findall(r"[a-z]+", plain)[:8])
    return f"{words}-{hashlib.sha256(text.encode()).hexdigest()[:6]}.{voice}.{accent}.ogg"


def voice_files() -> dict[str, Path]:
    return {name: VOICES_FOLDER / f"{name}.bin" for name in VOICE_NAMES}


class Speaker:
    """Says texts, float32 at 16 kHz.

    Recordings lie in tests/data/speech. What is not there is said by Kokoro, two seconds of a core for one of speech,
    and kept in `folder`; scripts/keep_speech.py copies it from there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._engines: dict[Accent, KokoroOnnx] = {}
        self._thread = ThreadPoolExecutor(1)

    def __call__(self, text: str, voice: str = "pf_dora", *, accent: Accent = "pt-br") -> Audio:
        name = file_name(text, voice, accent)
        path = RECORDINGS / name
        if not path.exists():
            path = self._folder / name
        if not path.exists():
            # In a thread of its own, since the caller may run in an event loop.
            said = self._thread.submit(asyncio.run, self._say(text, voice, accent)).result()
            part = path.with_suffix(f".{os.getpid()}")
            part.write_bytes(encode_pieces("ogg", "libopus", STT_SAMPLE_RATE, [said], BIT_RATE))
            part.rename(path)
        return decode(path.read_bytes(), max_seconds=LONGEST_S)

    def recording(self, text: str, voice: str = "pf_dora", *, accent: Accent = "pt-br") -> bytes:
        """The speech as a WAV file."""
        return wav(self(text, voice, accent=accent), STT_SAMPLE_RATE)

    @cached_property
    def _model(self) -> Path:
        return resolve("wheel:kokoro-82m")

    async def _say(self, text: str, voice: str, accent: Accent) -> Audio:
        if accent not in self._engines:
            self._engines[accent] = KokoroOnnx(self._model, voices=voice_files(), language=accent)
        engine = self._engines[accent]
        parts = [part async for part in engine.synthesize(text, voice=voice, speed=1)]
        return resampled(np.concatenate(parts), engine.sample_rate, STT_SAMPLE_RATE)


def resampled(audio: Audio, rate: int, wanted: int) -> Audio:
    """The same sound at another rate."""
    resampler = av.AudioResampler("flt", "mono", wanted)
    frame = av.AudioFrame.from_ndarray(audio.reshape(1, -1), "flt", "mono")
    frame.sample_rate = rate
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([part.to_ndarray().reshape(-1) for part in parts]).astype(np.float32)


def silence(seconds: float) -> Audio:
    return np.zeros(round(seconds * STT_SAMPLE_RATE), np.float32)


def white_noise(seconds: float, rms: float = 0.05) -> Audio:
    samples = np.random.default_rng(7).normal(0, rms, round(seconds * STT_SAMPLE_RATE))
    return samples.clip(-1, 1).astype(np.float32)


def hum(seconds: float) -> Audio:
    """Mains hum: 50 Hz and three overtones."""
    t = np.arange(round(seconds * STT_SAMPLE_RATE)) / STT_SAMPLE_RATE
    overtones = [0.1 / k * np.sin(2 * np.pi * 50 * k * t) for k in (1, 2, 3, 4)]
    return np.sum(overtones, axis=0).astype(np.float32)


def clicks(seconds: float) -> Audio:
    """A mouse button now and then: a few loud samples each."""
    audio = silence(seconds)
    audio[4_000::9_000] = 0.9
    audio[4_001::9_000] = -0.9
    return audio


def with_noise(audio: Audio, snr_db: float) -> Audio:
    """White noise under the speech, at that ratio of their powers."""
    rms = float(np.sqrt(np.mean(audio**2))) / 10 ** (snr_db / 20)
    noise = np.random.default_rng(7).normal(0, rms, len(audio))
    return (audio + noise).clip(-1, 1).astype(np.float32)


def in_a_room(audio: Audio, reverberation_s: float = 0.3) -> Audio:
    """The speech as a microphone hears it across a room: the direct sound and a tail of noise that decays 60 dB."""
    samples = round(reverberation_s * STT_SAMPLE_RATE)
    tail = np.random.default_rng(7).normal(0, 1, samples) * 10 ** (-3 * np.arange(samples) / samples)
    impulse = 0.3 * tail / np.sqrt(np.sum(tail**2))
    impulse[0] += 1
    wet = np.convolve(audio, impulse)
    return (wet / max(1.0, float(np.abs(wet).max()))).astype(np.float32)


def words(text: str) -> list[str]:
    """The words as they are compared: lower case, without marks."""
    text = unicodedata.normalize("NFC", text).lower()
    return re.findall(r"\w+", text.replace("-", " "))


def word_error_rate(said: str, heard: str) -> float:
    return total_word_error_rate([(said, heard)])


def total_word_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """Word errors over all pairs (said, heard), per word said."""
    errors = spoken = 0
    for said, heard in pairs:
        errors += edits(words(said), words(heard))
        spoken += len(words(said))
    return errors / spoken
