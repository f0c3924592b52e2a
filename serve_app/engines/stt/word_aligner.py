"""Where each word of a finished text lies in the recording, and how sure Whisper is of it.

One pass of the decoder over the text. The times follow the published recipe: the normalised cross attention of the
checkpoint's alignment heads, and the cheapest monotone path through it (word_times.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.modeling_outputs import BaseModelOutput

from serve_app.engines.stt.voice_gate import Window
from serve_app.engines.stt.word_times import token_edges
from serve_app.protocols import STT_SAMPLE_RATE, Word

FRAME_S = 0.02
"""One position of the encoder's output."""


@dataclass(frozen=True, slots=True)
class AlignedText:
    """The words of one window, with times in the recording in seconds.

    `no_speech` is the probability that the window contains no speech, `log_probability` the mean of the tokens'.
    """

    words: tuple[Word, ...]
    no_speech: float
    log_probability: float


class WordAligner:
    """Aligns texts of one Whisper. `end` is its end-of-text token.

    Without `alignment_heads` in the checkpoint's generation config the words are spread evenly over the voice.
    """

    def __init__(self, model: Any, tokenizer: Any, *, end: int, device: torch.device) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._end = end
        self._device = device
        generation = model.generation_config
        self._no_speech: int = generation.no_timestamps_token_id - 1
        self._heads: list[tuple[int, int]] = [
            (layer, head) for layer, head in getattr(generation, "alignment_heads", None) or ()
        ]

    def align(
        self, encoded: torch.Tensor, texts: Sequence[list[int]], windows: Sequence[Window], prefix: list[int]
    ) -> Iterator[AlignedText]:
        """Align the text tokens of each window.

        `encoded` is the encoder's output [windows, frames, width]; `prefix` the tokens before each text, of which
        the last four are start, language, task and "no timestamps".
        """
        longest = max(map(len, texts))
        tokens = [[*prefix, *text, *[self._end] * (longest - len(text))] for text in texts]
        with self._attention() as seen:
            logits = self._model(
                encoder_outputs=encoder_output(encoded),
                decoder_input_ids=torch.tensor(tokens, device=self._device),
                use_cache=False,
            ).logits
        head = len(prefix) - 4  # index of the start token, after the prompt
        for row, (text, window) in enumerate(zip(texts, windows, strict=True)):
            # Position p predicts token p + 1, and the last position the end token.
            stretch = slice(len(prefix) - 1, len(prefix) + len(text))
            predicted = torch.tensor([*text, self._end], device=self._device)
            told = logits[row, stretch].float().log_softmax(-1).gather(-1, predicted[:, None])[:, 0].cpu().numpy()
            no_speech = logits[row, head].float().softmax(-1)[self._no_speech].item()
            columns = math.ceil(len(window.audio) / STT_SAMPLE_RATE / FRAME_S)
            if text and self._heads:
                weights = torch.stack([seen[layer][row, head_] for layer, head_ in self._heads])
                edges = token_edges(
                    weights[:, head : stretch.stop, :columns], len(text), self._model.config.median_filter_width
                )
            else:
                edges = np.linspace(0, columns, len(text) + 1)
            yield AlignedText(tuple(self._words(text, told, edges * FRAME_S, window)), no_speech, float(told.mean()))

    def token_logprobs(
        self, encoded: torch.Tensor, texts: Sequence[list[int]], prefix: list[int]
    ) -> list[NDArray[np.float64]]:
        """Log-probability of each token of each text after `prefix`, over one encoded window [1, frames, width]."""
        longest = max(map(len, texts))
        tokens = torch.tensor([[*prefix, *text, *[self._end] * (longest - len(text))] for text in texts])
        tokens = tokens.to(self._device)
        logits = self._model(
            encoder_outputs=encoder_output(encoded.expand(len(texts), -1, -1)),
            decoder_input_ids=tokens[:, :-1],
            use_cache=False,
        ).logits[:, len(prefix) - 1 :]
        told = logits.float().log_softmax(-1).gather(-1, tokens[:, len(prefix) :, None])[..., 0].double().cpu().numpy()
        return [row[: len(text)] for row, text in zip(told, texts, strict=True)]

    @contextmanager
    def _attention(self) -> Iterator[dict[int, torch.Tensor]]:
        """Collects the decoder's cross attention [rows, heads, tokens, frames] by alignment layer, inside the block."""
        seen: dict[int, torch.Tensor] = {}

        def keep(layer: int) -> Callable[..., None]:
            def hook(_module: Any, _inputs: Any, outputs: Any) -> None:
                seen[layer] = outputs[1]

            return hook

        fast = self._model.config._attn_implementation
        layers = self._model.get_decoder().layers
        hooks = [layers[i].encoder_attn.register_forward_hook(keep(i)) for i in {layer for layer, _ in self._heads}]
        if hooks:
            self._model.set_attn_implementation("eager")  # the others do not return attention weights
        try:
            yield seen
        finally:
            self._model.set_attn_implementation(fast)
            for hook in hooks:
                hook.remove()

    def _words(
        self, text: list[int], told: NDArray[np.float32], edges: NDArray[np.float64], window: Window
    ) -> Iterator[Word]:
        """The words of a text. `told`: log probabilities; token i lies between edges i and i + 1 (seconds).

        A word lasts at least one frame and does not begin before the previous one has ended.
        """
        said = 0.0
        pieces = list(self._characters(text))
        starts = [n for n, (_, _, piece) in enumerate(pieces) if piece.startswith(" ") or n == 0]
        for first, last in zip(starts, [*starts[1:], len(pieces)], strict=True):
            spelt = pieces[first:last]
            if not (word := "".join(piece for _, _, piece in spelt).strip()):
                continue
            # Punctuation has no sound: it does not count for the word's time and probability.
            voiced = [piece for piece in spelt if any(map(str.isalnum, piece[2]))] or spelt
            begin, finish = voiced[0][0], voiced[-1][1]
            start = max(float(edges[begin]), said)
            said = end = max(float(edges[finish]), start + FRAME_S)
            if window.pieces:
                start, end = window.place(start, end)
            probability = float(np.exp(told[begin:finish]).mean())
            yield Word(word, round(start, 2), round(end, 2), round(probability, 3))

    def _characters(self, text: list[int]) -> Iterator[tuple[int, int, str]]:
        """(first token, token after the last, text) of whole characters: a token may hold only some bytes of one."""
        first = 0
        for i in range(1, len(text) + 1):
            piece = self._decode(text[first:i])
            if "\N{REPLACEMENT CHARACTER}" not in piece:
                yield first, i, piece
                first = i

    def _decode(self, tokens: list[int]) -> str:
        return self._tokenizer.decode(tokens, clean_up_tokenization_spaces=False)


def encoder_output(encoded: torch.Tensor) -> BaseModelOutput:
    return BaseModelOutput(last_hidden_state=encoded)  # pyright: ignore[reportArgumentType] - it names one tensor type
