"""TextToSpeech through Qwen3-TTS (CustomVoice): on CUDA streamed inside a sentence, elsewhere sentence by sentence.

On CUDA the model's steps are replayed as CUDA graphs (faster-qwen3-tts); without them it is slower
than real time. Its buffers hold one generation, so texts are spoken in parts and callers take turns:
the worker thread takes parts in order of arrival, and a caller's next part is queued only when the
previous one is finished. A new caller thus waits for one part of each other caller at most, however
long their texts are.

The model samples and sometimes does not stop. So each part has a limit of frames, and ends early
after a long silence.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from functools import partial
from pathlib import Path
from threading import Event

import numpy as np
import torch
from faster_qwen3_tts import FasterQwen3TTS
from safetensors import SafetensorError
from transformers.utils.import_utils import is_torchaudio_available

from serve_app.audio import silence
from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.thread_stream import Put, thread_stream
from serve_app.engines.torch_device import claim
from serve_app.engines.tts.speech_pieces import SilenceHeldBack, Tempo
from serve_app.engines.unused_imports import stand_ins
from serve_app.errors import StackError, first_line, unknown_voice
from serve_app.gpu.engine_sizes import QWEN_MAX_SEQUENCE
from serve_app.protocols import Audio
from serve_app.sentences import split_long

is_torchaudio_available()  # transformers caches the answer: ask before the stand-in is there
with stand_ins("torchaudio.compliance.kaldi", "sox"):  # needed only for a tokenizer that we do not use
    from qwen_tts import Qwen3TTSModel

FRAMES_PER_S = 12.5
"""The model writes speech in frames of 80 ms: 1,920 samples at 24 kHz."""

MAX_CHARACTERS = 120
"""Longest part, about 8 s of speech: a new caller may have to wait this long for another caller's part."""

SLOW_CHARACTERS_PER_S = 8
"""The pace of slow speech; 14 is usual."""

CHARACTERS_PER_DIGIT = 8
"""A digit counts as this many characters, since it is read as a word: "1999" has 30 letters."""

FEWEST_FRAMES, MOST_FRAMES = 25, 700

RUNAWAY_S = 1.5
"""Silence after speech that ends a part; pauses inside a sentence are shorter."""

PART_PAUSE_S = 0.15
"""Pause between the parts of one text, after their own silence is trimmed."""

WARM_UP = "Olá! Vamos conversar um pouco em português hoje?"
WARM_UP_S = 2.0
"""25 frames of that, so that the codec has worked on a full window; more would only delay the start."""

DEFAULT_VOICE = "serena"
VOICES = (DEFAULT_VOICE, "vivian", "uncle_fu", "ryan", "aiden", "ono_anna", "sohee", "eric", "dylan")
"""Voices of the published models, used if the model does not list its own."""


class Qwen3Tts:
    """One Qwen3-TTS model of a local folder.

    Pieces are consecutive samples: on CUDA of `chunk_frames` frames, elsewhere a whole part. The model
    has no speed setting: a `speed` other than 1 is applied to the finished speech, without changing its
    pitch. Closing a stream ends the generation after the piece in progress. `share` is of the card's
    memory.

    Raises:
        StackError: not such a model, a language it does not speak, or there is no card.
    """

    seamless = True

    def __init__(
        self,
        model: Path,
        *,
        device: str = "cuda",
        share: float | None = None,
        dtype: str = "bfloat16",
        language: str = "Portuguese",
        chunk_frames: int = 4,
    ) -> None:
        place = claim(device, share)
        wrong = f"tts: {model} is no Qwen3-TTS CustomVoice model"
        try:
            config = json.loads((model / "config.json").read_text("utf-8"))
            kind = (config.get("model_type"), config.get("tts_model_type"))
            if kind != ("qwen3_tts", "custom_voice"):  # the library would accept any model of transformers
                raise ValueError(f"its config says {kind[0]}, {kind[1]}.")
            self._model = self._load(model, place, getattr(torch, dtype))
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise StackError(f"{wrong}: {first_line(error)}") from error
        library = self._model.model if isinstance(self._model, FasterQwen3TTS) else self._model
        languages = library.get_supported_languages()
        if languages is not None and language.lower() not in languages:
            raise StackError(f"tts.language: the model does not speak '{language}'; known: {', '.join(languages)}.")
        speakers = library.get_supported_speakers() or VOICES
        self.voices: Sequence[str] = sorted(speakers, key=lambda name: (name != DEFAULT_VOICE, name))
        codec = library.model.speech_tokenizer
        assert codec is not None
        self.sample_rate: int = int(codec.get_output_sample_rate())
        self._language = language
        self._chunk_frames = chunk_frames
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="qwen3-tts")
        self._work_done = 0
        if isinstance(self._model, FasterQwen3TTS):
            self._pool.submit(self._model.warmup).result()  # captures the graphs: seconds
            self.warm_up()

    def warm_up(self) -> None:
        """Speak two seconds: the graphs alone leave the first learner waiting for the codec's kernels."""
        left = WARM_UP_S * self.sample_rate
        with CancelScope() as scope:
            enough = Event()

            def count(piece: Audio) -> None:
                nonlocal left
                left -= len(piece)
                if left <= 0:
                    enough.set()

            self._pool.submit(self._speak, WARM_UP, self.voices[0], 1.0, scope.child(enough), count).result()

    def _load(self, model: Path, device: torch.device, dtype: torch.dtype) -> FasterQwen3TTS | Qwen3TTSModel:
        """The model, on CUDA with graphs."""
        if device.type == "cuda":
            faster = FasterQwen3TTS.from_pretrained(str(model), dtype=dtype, max_seq_len=QWEN_MAX_SEQUENCE)
            assert isinstance(faster, FasterQwen3TTS)  # it has another class for Apple's computers
            return faster
        return Qwen3TTSModel.from_pretrained(
            str(model), device_map=str(device), dtype=dtype, attn_implementation="sdpa"
        )

    async def synthesize(self, text: str, *, voice: str, speed: float) -> AsyncGenerator[Audio, None]:
        """See the Protocol.

        Raises:
            InvalidField: there is no such voice.
        """
        if voice not in self.voices:
            raise unknown_voice(voice, self.voices, stage="tts")
        pause = silence(0, self.sample_rate)
        for part in split_long(text, MAX_CHARACTERS):
            async with aclosing(thread_stream(self._pool, partial(self._speak, part, voice, speed))) as pieces:
                async for piece in pieces:
                    yield np.concatenate([pause, piece])
                    pause = silence(0, self.sample_rate)
            pause = silence(PART_PAUSE_S, self.sample_rate)

    async def work_done(self) -> int:
        return self._work_done

    def _speak(self, text: str, voice: str, speed: float, scope: CancelScope, put: Put[Audio]) -> None:
        """Speak one part, in the worker thread; at most MOST_FRAMES of audio."""
        if scope.cancelled:
            return
        held_back = SilenceHeldBack(self.sample_rate)
        tempo = Tempo(self.sample_rate, speed) if speed != 1 else None
        with closing(self._generate(text, voice)) as pieces:
            for piece in pieces:
                self._work_done += 1
                if scope.cancelled:
                    return
                speech = held_back.feed(piece)
                _put_sound(put, tempo.feed(speech) if tempo else speech)
                if held_back.silence_s >= RUNAWAY_S:
                    break
        rest = held_back.finish()
        _put_sound(put, np.concatenate([tempo.feed(rest), tempo.finish()]) if tempo else rest)

    def _generate(self, text: str, voice: str) -> Generator[Audio, None, None]:
        """The model's speech, float32 [samples] each; closing it ends the generation."""
        model, frames = self._model, max_frames(text)
        if isinstance(model, FasterQwen3TTS):
            # Read to the end: the library's flag for the last piece is not always set.
            with closing(
                model.generate_custom_voice_streaming(
                    text, voice, self._language, max_new_tokens=frames, chunk_size=self._chunk_frames
                )
            ) as stream:
                for piece, _, _ in stream:
                    yield np.asarray(piece, dtype=np.float32)
        else:
            pieces, _ = model.generate_custom_voice(text, voice, self._language, max_new_tokens=frames)
            yield np.asarray(pieces[0], dtype=np.float32)


def _put_sound(put: Put[Audio], piece: Audio) -> None:
    if len(piece):
        put(piece)


def max_frames(text: str) -> int:
    """Upper limit of frames for `text`: 1.5 times the length of slow speech, at least 2 s."""
    characters = len(text) + (CHARACTERS_PER_DIGIT - 1) * sum(map(str.isdigit, text))
    frames = math.ceil(1.5 * characters / SLOW_CHARACTERS_PER_S * FRAMES_PER_S)
    return min(max(frames, FEWEST_FRAMES), MOST_FRAMES)
