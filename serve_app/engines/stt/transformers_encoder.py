"""Whisper's encoder of transformers, for windows shorter than 30 s."""

from __future__ import annotations

import copy
from typing import Any

import torch
from transformers.models.whisper.modeling_whisper import WhisperEncoder


class ShortEncoder:
    """Encodes log-mel features of any even length up to that of the checkpoint's encoder.

    WhisperEncoder takes exactly the length that its config says. So there is one per length, made when it is first
    needed: the same weights, not copied, and as many rows of the position table as it takes.
    """

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self._by_positions = {encoder.config.max_source_positions: encoder}
        self._stride: int = encoder.conv1.stride[0] * encoder.conv2.stride[0]

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """[windows, mels, frames] -> [windows, positions, width]; a position is two frames."""
        positions = features.shape[-1] // self._stride
        if positions not in self._by_positions:
            self._by_positions[positions] = self._shortened(positions)
        return self._by_positions[positions](features).last_hidden_state

    def _shortened(self, positions: int) -> WhisperEncoder:
        config = copy.deepcopy(self._encoder.config)
        config.max_source_positions = positions
        weights = self._encoder.state_dict()
        weights["embed_positions.weight"] = weights["embed_positions.weight"][:positions]
        with torch.device("meta"):  # without memory, until it gets the weights that are there
            short = WhisperEncoder(config)
        short.load_state_dict(weights, assign=True)
        return short.eval()
