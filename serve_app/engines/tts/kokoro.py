"""TextToSpeech through kokoro: Kokoro-82M on PyTorch, 24 kHz.

The library's own pipeline silently drops what is over 510 phonemes, and downloads voices. So texts
are split here, by characters and if necessary by phonemes, and voices are local files only.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from loguru import logger

from serve_app.audio import trim_silence
from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.torch_device import claim
from serve_app.engines.tts.kokoro_voices import MAX_CHARACTERS, MAX_PHONEMES, STYLE_SHAPE, load_style
from serve_app.engines.tts.lone_letters import letters_spelled
from serve_app.engines.unused_imports import stand_ins
from serve_app.errors import StackError, first_line
from serve_app.protocols import Audio
from serve_app.sentences import split_long
from serve_app.stopwatch import timed

with stand_ins("spacy"):  # misaki needs it for English; espeak is used for Portuguese
    from kokoro import KModel, KPipeline

logger.disable("kokoro")  # it logs every text

REPOSITORY = "hexgrad/Kokoro-82M"
"""Nothing is downloaded: the library selects the pronunciation of some languages by it, and warns without it."""

WEIGHTS = "kokoro-v1_0.pth"

WARM_UP = (
    "Oi!",
    "Que bom ouvir isso!",
    "E o que você fez no fim de semana com os seus amigos?",
    "Eu também gosto muito de praia. Da próxima vez leve um livro, um chapéu e bastante água, porque faz calor.",
    "Muito bem! Você falou do seu trabalho, da sua família e da sua cidade. Agora me conte, por favor, como é um dia "
    "normal na sua vida: a que horas você acorda, o que come no café da manhã e o que costuma fazer à noite.",
)
"""One text for each size of a part: a card chooses its kernels by the length, and loads each at its first use."""


class KokoroTorch:
    """One Kokoro model; texts are spoken part by part, and callers take turns.

    `model` is a folder as published: config.json, one .pth, and voices/*.pt. Its voices for `language`
    are offered after `voices` (files as in `kokoro_voices`). `share` is of the card's memory. A part in
    progress cannot be interrupted.

    Raises:
        StackError: the folder is not Kokoro's, a voice cannot be read, or there is no card.
    """

    sample_rate: int = 24_000
    seamless = False

    def __init__(
        self,
        model: Path,
        *,
        voices: Mapping[str, Path],
        device: str = "cuda",
        share: float | None = None,
        language: str = "p",
    ) -> None:
        place = claim(device, share)
        self._model = _load(model).to(place).eval()
        self._g2p = KPipeline(lang_code=language, repo_id=REPOSITORY, model=False).g2p
        styles = {name: torch.from_numpy(load_style(path)) for name, path in voices.items()}
        for path in sorted((model / "voices").glob(f"{language}*.pt")):
            styles.setdefault(path.stem, _load_voice(path))
        if not styles:
            raise StackError(f"tts: there is no voice for Kokoro: none is given and none is in {model / 'voices'}.")
        self._styles = {name: style.to(place) for name, style in styles.items()}
        self.voices: Sequence[str] = tuple(styles)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="kokoro")  # espeak is not thread-safe
        self._work_done = 0
        if place.type == "cuda":
            self.warm_up()

    def warm_up(self) -> None:
        """Speak a text of each size, so that no learner waits for the kernels; blocks for seconds."""
        with CancelScope() as scope:
            for text in WARM_UP:
                self._pool.submit(self._speak, text, self.voices[0], 1.0, scope).result()

    async def synthesize(self, text: str, *, voice: str, speed: float) -> AsyncGenerator[Audio, None]:
        loop = asyncio.get_running_loop()
        with CancelScope() as scope:
            for part in split_long(text, MAX_CHARACTERS):
                for audio in await loop.run_in_executor(self._pool, timed(self._speak), part, voice, speed, scope):
                    yield audio

    async def work_done(self) -> int:
        return self._work_done

    def _speak(self, text: str, voice: str, speed: float, scope: CancelScope) -> list[Audio]:
        """Speak the text in one piece, or in several if it has more phonemes than the model takes."""
        pieces: list[Audio] = []
        for phonemes in [] if scope.cancelled else self._phonemes(text):
            if scope.cancelled:
                break
            output = KPipeline.infer(self._model, phonemes, self._styles[voice], speed)  # pyright: ignore[reportArgumentType] - it is float32
            self._work_done += 1
            audio = np.atleast_1d(output.audio.numpy()).astype(np.float32).clip(-1, 1)
            pieces.append(trim_silence(audio, self.sample_rate))
        return pieces

    def _phonemes(self, text: str) -> list[str]:
        """The phonemes of the text, in as few strings as the model can take; none if the text has no sound."""
        phonemes, _ = self._g2p(letters_spelled(text))
        if len(phonemes) > MAX_PHONEMES and len(text) > 1:
            return [piece for half in split_long(text, (len(text) + 1) // 2) for piece in self._phonemes(half)]
        known = any(not phoneme.isspace() and phoneme in self._model.vocab for phoneme in phonemes)
        return [phonemes[:MAX_PHONEMES]] if known else []


def _load(folder: Path) -> KModel:
    config = folder / "config.json"
    weights = folder / WEIGHTS
    if not weights.is_file():
        found = sorted(folder.glob("*.pth"))
        if len(found) != 1:
            raise StackError(f"tts: {folder} has no {WEIGHTS}; the kokoro engine needs the folder of {REPOSITORY}.")
        weights = found[0]
    if not config.is_file():
        raise StackError(f"tts: {folder} has no config.json; the kokoro engine needs the folder of {REPOSITORY}.")
    try:
        model = KModel(repo_id=REPOSITORY, config=str(config), model=str(weights))
        parts = torch.load(weights, map_location="cpu", weights_only=True).keys()
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AssertionError, pickle.UnpicklingError) as error:
        raise StackError(f"tts: {folder} is not Kokoro: {first_line(error)}") from error
    if missing := sorted({name for name, _ in model.named_children()} - parts):  # the library would leave these random
        raise StackError(f"tts: {weights} is not Kokoro: it has no weights '{missing[0]}'.")
    return model


def _load_voice(path: Path) -> torch.Tensor:
    try:
        style = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise StackError(f"The voice file {path} cannot be read: {first_line(error)}") from error
    if not isinstance(style, torch.Tensor) or style.shape != STYLE_SHAPE:
        raise StackError(f"The voice file {path} is not a Kokoro voice: a tensor {STYLE_SHAPE} is expected.")
    return style.float()
