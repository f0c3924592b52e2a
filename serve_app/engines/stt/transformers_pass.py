"""One pass of transformers' Whisper over a batch of windows of at most 30 s.

1. The encoder, over the sound of the longest window and a margin, or over 30 s.
2. Greedy decoding, with timestamps: without them Whisper drops whole sentences of a long window.
3. One pass of the decoder over the finished text, for the time and probability of each word and the
   probability that the window contains no speech. The times follow the published recipe: the
   normalised cross attention of the checkpoint's alignment heads, and the cheapest monotone path
   through it.

Rows of a batch influence each other only through the length that is encoded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.stt.short_window import (
    FOREIGN_PROBABILITY,
    FRAMES_PER_S,
    WHOLE_FRAMES,
    Certainty,
    compression_ratio,
    frames_to_encode,
)
from serve_app.engines.stt.transformers_encoder import ShortEncoder
from serve_app.engines.stt.transformers_pronunciation import TransformersPronunciation
from serve_app.engines.stt.voice_gate import Window, is_made_up
from serve_app.engines.stt.word_aligner import FRAME_S, WordAligner, encoder_output
from serve_app.errors import StageFailed
from serve_app.protocols import STT_SAMPLE_RATE, Word

MOST_TOKENS_PER_S = 12
SPARE_TOKENS = 24
"""A window with more tokens than its length allows is a decoding loop, which would run to 448 tokens."""

LEAST_HEARD_S = 1.0
"""If the text ends sooner than this, the voice after it is not transcribed again."""

EDGE_S = 0.2
"""A text that ends this near to the end of what was encoded, or after it, goes on where no sound was."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a pass made of one window.

    Its words have times in the recording. `made_up`: Whisper itself doubts that anybody spoke. `whole`: all 30 s were
    encoded. `other` is the other language that the window is in, if it is unlikely in the one asked for; `rest` the
    voice after the point where Whisper ended its text.
    """

    seconds: float
    words: tuple[Word, ...]
    made_up: bool
    certainty: Certainty
    whole: bool
    other: str | None
    rest: Window | None


class WindowPass:
    """Hears batches of windows with one model."""

    def __init__(self, model: Any, processor: Any, *, device: torch.device, dtype: torch.dtype) -> None:
        self.steps = 0
        """Steps of the decoder so far."""
        self._model = model
        self._processor = processor
        self._device = device
        self._dtype = dtype
        self._encode = ShortEncoder(model.get_encoder())
        generation = model.generation_config
        self._languages: dict[str, int] = generation.lang_to_id
        self._transcribe_id: int = generation.task_to_id["transcribe"]
        self._no_timestamps: int = generation.no_timestamps_token_id
        self._start: int = generation.decoder_start_token_id
        end = generation.eos_token_id
        self._end: int = end[0] if isinstance(end, list) else end
        self._aligner = WordAligner(model, processor.tokenizer, end=self._end, device=device)
        self.pronunciation = TransformersPronunciation(
            processor.tokenizer, self._aligner, lambda batch, frames: self._encode(self._features(batch, frames))
        )

    def languages(self) -> list[str]:
        """The languages that this Whisper knows."""
        return [token.strip("<|>") for token in self._languages]

    def prefix(self, language: str, prompt: str | None) -> list[int]:
        """The tokens that the text follows: the prompt, if any, then language and task."""
        spoken = self._languages.get(f"<|{language}|>")
        if spoken is None:
            message = f"This Whisper does not know the language '{language}'."
            raise StageFailed(message, code="unknown_language", stage="stt", status=400)
        head = [self._start, spoken, self._transcribe_id, self._no_timestamps]
        if not prompt:
            return head
        # In training the prompt took at most half of Whisper's context, less one token.
        before, *said = self._processor.get_prompt_ids(prompt, return_tensors="np").tolist()
        return [before, *said[-(self._model.config.max_target_positions // 2 - 1) :], *head]

    @torch.inference_mode()
    def hear(
        self,
        batch: Sequence[Window],
        prefix: list[int],
        scopes: Sequence[CancelScope],
        *,
        whole: bool = False,
        others: Sequence[str] = (),
    ) -> list[Heard | None]:
        """Transcribe a batch of windows; None for a window that was cancelled meanwhile."""
        longest = max(len(window.audio) for window in batch)
        frames = WHOLE_FRAMES if whole else frames_to_encode(math.ceil(longest * FRAMES_PER_S / STT_SAMPLE_RATE))
        encoded = self._encode(self._features(batch, frames))
        written = self._write(encoded, batch, prefix, scopes)
        # From the end-of-text token on come special tokens only.
        texts = [[token for token in row if token < self._end] for row in written]
        rows = [row for row, scope in enumerate(scopes) if not scope.cancelled]
        heard: list[Heard | None] = [None] * len(batch)
        if not rows:
            return heard
        aligned = self._aligner.align(encoded[rows], [texts[row] for row in rows], [batch[row] for row in rows], prefix)
        for row, one in zip(rows, aligned, strict=True):
            seconds = len(batch[row].audio) / STT_SAMPLE_RATE
            text = " ".join(word.text for word in one.words)
            at_edge = frames < WHOLE_FRAMES and self._until(written[row]) > frames / FRAMES_PER_S - EDGE_S
            certainty = Certainty(one.log_probability, compression_ratio(text), at_edge)
            tried = others if certainty.maybe_foreign(seconds) else ()
            heard[row] = Heard(
                seconds=seconds,
                words=one.words,
                made_up=is_made_up(one.no_speech, one.log_probability),
                certainty=certainty,
                whole=frames == WHOLE_FRAMES,
                other=self._other_language(encoded[row], tried) if tried else None,
                rest=self._rest(written[row], batch[row]),
            )
        return heard

    def _features(self, batch: Sequence[Window], frames: int) -> torch.Tensor:
        """The log-mel spectra [windows, mels, frames], padded with silence."""
        made = self._processor.feature_extractor(
            [window.audio for window in batch],
            sampling_rate=STT_SAMPLE_RATE,
            max_length=frames * STT_SAMPLE_RATE // FRAMES_PER_S,
            return_tensors="pt",
        )
        return made.input_features.to(self._device, self._dtype)

    def _other_language(self, encoded: torch.Tensor, others: Sequence[str]) -> str | None:
        """The one of `others` that an encoded window [positions, width] is in, by the first token."""
        logits = self._model(
            encoder_outputs=encoder_output(encoded[None]),
            decoder_input_ids=torch.tensor([[self._start]], device=self._device),
            use_cache=False,
        ).logits[0, -1]
        told = logits[list(self._languages.values())].float().softmax(-1).tolist()
        by_language = {
            token.strip("<|>"): probability for token, probability in zip(self._languages, told, strict=True)
        }
        best = max(others, key=lambda other: by_language.get(other, 0.0))
        return best if by_language.get(best, 0.0) >= FOREIGN_PROBABILITY else None

    def _until(self, written: list[int]) -> float:
        """Where a text ends in its window (seconds), by its last token; 0 or less if that is no timestamp."""
        return (written[-1] - self._no_timestamps - 1) * FRAME_S if written else 0.0

    def _rest(self, written: list[int], window: Window) -> Window | None:
        """The part of a window after its text (tokens with timestamps), None if there is no voice in it."""
        until = self._until(written)
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
            self.steps += 1
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
