"""SpeechToText through transformers: Whisper checkpoints as OpenAI publishes them, batched across learners.

A batch of windows of 30 s goes through three passes:

1. The encoder.
2. Greedy decoding, with timestamps: without them Whisper drops whole sentences of a long window.
3. One pass of the decoder over the finished text, for the time and probability of each word and the
   probability that the window contains no speech. The times follow the published recipe: the
   normalised cross attention of the checkpoint's alignment heads, and the cheapest monotone path
   through it. Rows do not influence each other here, so a word gets the same time in any batch.

transformers' Whisper makes up sentences for silence even with its thresholds. So an energy gate and a
voice detector come first, and without a voice the model is not called.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    StoppingCriteria,
    StoppingCriteriaList,
    WhisperConfig,
    WhisperForConditionalGeneration,
    WhisperProcessor,
)
from transformers.utils import logging

from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.stt.voice_gate import Window, is_made_up, windows
from serve_app.engines.stt.word_aligner import FRAME_S, WordAligner, encoder_output
from serve_app.engines.torch_device import claim
from serve_app.errors import StackError, StageFailed, first_line
from serve_app.protocols import STT_SAMPLE_RATE, Audio, Transcript, Word
from serve_app.stopwatch import timed

MOST_TOKENS_PER_S = 12
SPARE_TOKENS = 24
"""A window with more tokens than its length allows is a decoding loop, which would run to 448 tokens."""

LEAST_HEARD_S = 1.0
"""If the text ends sooner than this, the voice after it is not transcribed again."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """Words of one window, with times in the recording; `made_up` if Whisper itself doubts that anybody spoke."""

    words: tuple[Word, ...]
    made_up: bool
    rest: Window | None = None
    """The voice after the point where Whisper ended its text."""


class TransformersWhisper:
    """One Whisper checkpoint in a local folder; up to `max_batch` windows of 30 s go through it together.

    An utterance that is cancelled before its batch starts is skipped; a batch whose utterances are all
    cancelled stops at the next token. `share` is of the card's memory. On a CPU float32 replaces
    float16, which is slow there. Without `alignment_heads` in the checkpoint's generation config the
    words are spread evenly over the voice.

    Raises:
        StackError: the folder holds no multilingual Whisper of transformers, or there is no card.
    """

    def __init__(
        self,
        model: Path,
        *,
        device: str = "cuda",
        share: float | None = None,
        dtype: str = "float16",
        max_batch: int = 8,
    ) -> None:
        self.max_batch = max_batch
        self._device = claim(device, share)
        self._dtype = torch.float32 if device == "cpu" and dtype == "float16" else getattr(torch, dtype)
        self._model, self._processor = _load(model, self._dtype)
        self._model.to(self._device)
        generation: Any = self._model.generation_config
        self._languages: dict[str, int] = generation.lang_to_id
        self._transcribe_id: int = generation.task_to_id["transcribe"]
        self._no_timestamps: int = generation.no_timestamps_token_id
        self._start: int = generation.decoder_start_token_id
        end = generation.eos_token_id
        self._end: int = end[0] if isinstance(end, list) else end
        self._aligner = WordAligner(self._model, self._processor.tokenizer, end=self._end, device=self._device)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="whisper")
        self._work_done = 0
        # The first pass on a card takes seconds: done here, so that no learner waits for it.
        second = np.random.default_rng(0).normal(0, 0.1, STT_SAMPLE_RATE).astype(np.float32)
        self._hear([Window(second, ())], self._prefix(next(iter(self._languages)).strip("<|>"), None), [CancelScope()])
        self._work_done = 0

    async def transcribe_batch(
        self,
        audios: Sequence[Audio],
        *,
        language: str,
        prompt: str | None = None,
        others: Sequence[str] = (),
        learner_errors: bool = False,
        closed: Sequence[Event] = (),
    ) -> list[Transcript]:
        loop = asyncio.get_running_loop()
        with CancelScope() as batch:
            scopes = batch.children(len(audios), closed)
            return await loop.run_in_executor(self._pool, timed(self._transcribe), audios, language, prompt, scopes)

    async def transcribe(
        self,
        audio: Audio,
        *,
        language: str,
        prompt: str | None = None,
        others: Sequence[str] = (),
        learner_errors: bool = False,
    ) -> Transcript:
        return (await self.transcribe_batch([audio], language=language, prompt=prompt))[0]

    async def work_done(self) -> int:
        """Steps of the decoder, each one token of every window in the batch."""
        return self._work_done

    def _transcribe(
        self, audios: Sequence[Audio], language: str, prompt: str | None, scopes: Sequence[CancelScope]
    ) -> list[Transcript]:
        prefix = self._prefix(language, prompt)
        waiting = [
            (i, window) for i, audio in enumerate(audios) if not scopes[i].cancelled for window in windows(audio)
        ]
        heard: list[list[_Heard]] = [[] for _ in audios]
        while waiting := [(i, window) for i, window in waiting if not scopes[i].cancelled]:
            batch, waiting = waiting[: self.max_batch], waiting[self.max_batch :]
            of = [i for i, _ in batch]
            made = self._hear([window for _, window in batch], prefix, [scopes[i] for i in of])
            for i, one in zip(of, made, strict=True):
                heard[i].append(one)
                if one.rest:
                    waiting.append((i, one.rest))
        return [_assemble(parts) for parts in heard]

    def _prefix(self, language: str, prompt: str | None) -> list[int]:
        """The tokens that the text follows: the prompt, if any, then language and task."""
        spoken = self._languages.get(f"<|{language}|>")
        if spoken is None:
            raise StageFailed(f"This Whisper does not know the language '{language}'.", stage="stt")
        head = [self._start, spoken, self._transcribe_id, self._no_timestamps]
        if not prompt:
            return head
        # In training the prompt took at most half of Whisper's context, less one token.
        before, *said = self._processor.get_prompt_ids(prompt, return_tensors="np").tolist()
        return [before, *said[-(self._model.config.max_target_positions // 2 - 1) :], *head]

    @torch.inference_mode()
    def _hear(self, batch: Sequence[Window], prefix: list[int], scopes: Sequence[CancelScope]) -> list[_Heard]:
        """Transcribe a batch of windows; the result of a window that was cancelled meanwhile is not valid."""
        features = self._processor.feature_extractor(
            [window.audio for window in batch], sampling_rate=STT_SAMPLE_RATE, return_tensors="pt"
        ).input_features
        encoded = self._model.get_encoder()(features.to(self._device, self._dtype)).last_hidden_state
        written = self._write(encoded, batch, prefix, scopes)
        # From the end-of-text token on come special tokens only.
        texts = [[token for token in row if token < self._end] for row in written]
        rows = [row for row, scope in enumerate(scopes) if not scope.cancelled]
        heard = [_Heard((), made_up=True)] * len(batch)
        if not rows:
            return heard
        aligned = self._aligner.align(encoded[rows], [texts[row] for row in rows], [batch[row] for row in rows], prefix)
        for row, one in zip(rows, aligned, strict=True):
            made_up = is_made_up(one.no_speech, one.log_probability)
            heard[row] = _Heard(one.words, made_up, self._rest(written[row], batch[row]))
        return heard

    def _rest(self, written: list[int], window: Window) -> Window | None:
        """The part of a window after its text (tokens with timestamps), None if there is no voice in it."""
        until = (written[-1] - self._no_timestamps - 1) * FRAME_S if written else 0.0
        return window.after(until) if until >= LEAST_HEARD_S else None  # otherwise it might never end

    def _write(
        self, encoded: torch.Tensor, batch: Sequence[Window], prefix: list[int], scopes: Sequence[CancelScope]
    ) -> list[list[int]]:
        """Greedy decoding of a batch: the tokens of each row, with timestamps, without the end token."""
        limits = [
            len(prefix) - 1 + SPARE_TOKENS + math.ceil(MOST_TOKENS_PER_S * len(window.audio) / STT_SAMPLE_RATE)
            for window in batch
        ]

        def ended(length: int) -> list[bool]:
            self._work_done += 1
            return [length >= limit or scope.cancelled for limit, scope in zip(limits, scopes, strict=True)]

        start = torch.tensor([prefix[:-1]] * len(batch), device=self._device)  # all but "no timestamps"
        written = self._model.generate(
            encoder_outputs=encoder_output(encoded),
            decoder_input_ids=start,
            language=next(name for name, number in self._languages.items() if number == prefix[-3]),
            task="transcribe",
            return_timestamps=True,
            force_unique_generate_call=True,
            condition_on_prev_tokens=False,
            do_sample=False,
            num_beams=1,
            stopping_criteria=StoppingCriteriaList([_Ended(ended)]),
        )
        return [[token for token in row if token != self._end] for row in written[:, start.shape[1] :].tolist()]


class _Ended(StoppingCriteria):
    """Ends the rows of a batch for which `ended`, given the number of tokens so far, says True."""

    def __init__(self, ended: Callable[[int], list[bool]]) -> None:
        self._ended = ended

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        return torch.tensor(self._ended(input_ids.shape[-1]), device=input_ids.device)


def _load(model: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    wrong = f"stt: {model} is no Whisper of transformers"
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # it logs warnings about its own deprecated calls
    try:
        config = AutoConfig.from_pretrained(model, local_files_only=True)
        if not isinstance(config, WhisperConfig):
            raise StackError(f"{wrong}: its config.json says '{config.model_type}'.")
        weights: Any
        weights, info = WhisperForConditionalGeneration.from_pretrained(  # pyright: ignore[reportGeneralTypeIssues]
            model, config=config, dtype=dtype, local_files_only=True, output_loading_info=True
        )
        processor = WhisperProcessor.from_pretrained(model, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise StackError(f"{wrong}: {first_line(error)}") from error
    if missing := sorted(info["missing_keys"]):
        raise StackError(f"{wrong}: it has no weights '{missing[0]}'.")
    if not getattr(weights.generation_config, "lang_to_id", None):
        raise StackError(f"stt: {model} is an English-only Whisper; a multilingual one is needed.")
    return weights.eval(), processor


def _assemble(parts: Sequence[_Heard]) -> Transcript:
    words = tuple(
        sorted((word for part in parts if not part.made_up for word in part.words), key=lambda word: word.start)
    )
    text = " ".join(word.text for word in words)
    if not any(map(str.isalnum, text)):
        return Transcript("", no_speech=True)
    return Transcript(text, words)
