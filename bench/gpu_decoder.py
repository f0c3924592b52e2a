"""Whisper's decoder step as a CUDA graph over a fixed cache, against transformers' `generate`: tokens and time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import gelu, scaled_dot_product_attention

from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.stt.short_window import WHOLE_FRAMES, frames_to_encode
from serve_app.engines.stt.voice_gate import Window

from .gpu_work import UTTERANCE_S, on_card, speech, wait_for_card

LONGEST = 128
"""Rows of the cache: the prefix and the text of an utterance."""

Timer = Callable[[Callable[[], Any], int], dict[str, Any]]


class StaticDecoder:
    """Greedy steps of WhisperForConditionalGeneration's decoder for a fixed batch; no rules of timestamps."""

    def __init__(self, model: Any, encoded: torch.Tensor) -> None:
        decoder = model.model.decoder
        self._model, self._layers = model, decoder.layers
        self._embed, self._positions, self._norm = (
            decoder.embed_tokens,
            decoder.embed_positions.weight,
            decoder.layer_norm,
        )
        attention = self._layers[0].self_attn
        self._heads, self._width = attention.num_heads, attention.head_dim
        batch = encoded.shape[0]
        on: dict[str, Any] = {"device": encoded.device, "dtype": encoded.dtype}
        shape = (batch, self._heads, LONGEST, self._width)
        self._keys = [torch.zeros(shape, **on) for _ in self._layers]
        self._values = [torch.zeros(shape, **on) for _ in self._layers]
        self._cross = [
            (self._split(layer.encoder_attn.k_proj(encoded)), self._split(layer.encoder_attn.v_proj(encoded)))
            for layer in self._layers
        ]
        self.token = torch.zeros((batch, 1), dtype=torch.long, device=encoded.device)
        self.at = torch.zeros(1, dtype=torch.long, device=encoded.device)
        self._rows = torch.arange(LONGEST, device=encoded.device)
        self.logits = self._step()
        self._graph: torch.cuda.CUDAGraph | None = None

    def capture(self) -> None:
        if not on_card():
            return
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._step()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=stream):
                self.logits = self._step()
        torch.cuda.synchronize()

    def step(self, token: torch.Tensor, at: int) -> torch.Tensor:
        """The logits [batch, tokens] after this token, which is the text's `at`-th."""
        self.token.copy_(token)
        self.at.fill_(at)
        if self._graph is None:
            self.logits = self._step()
        else:
            self._graph.replay()
        return self.logits

    def _split(self, states: torch.Tensor) -> torch.Tensor:
        return states.view(states.shape[0], -1, self._heads, self._width).transpose(1, 2).contiguous()

    def _step(self) -> torch.Tensor:
        hidden = self._embed(self.token) + self._positions[self.at]
        seen = (self._rows <= self.at)[None, None, None]
        for number, layer in enumerate(self._layers):
            normed = layer.self_attn_layer_norm(hidden)
            own = layer.self_attn
            self._keys[number].index_copy_(2, self.at, self._split(own.k_proj(normed)))
            self._values[number].index_copy_(2, self.at, self._split(own.v_proj(normed)))
            query = self._split(own.q_proj(normed))
            found = scaled_dot_product_attention(query, self._keys[number], self._values[number], attn_mask=seen)
            hidden = hidden + own.out_proj(found.transpose(1, 2).flatten(2))
            query = self._split(layer.encoder_attn.q_proj(layer.encoder_attn_layer_norm(hidden)))
            found = scaled_dot_product_attention(query, *self._cross[number])
            hidden = hidden + layer.encoder_attn.out_proj(found.transpose(1, 2).flatten(2))
            hidden = hidden + layer.fc2(gelu(layer.fc1(layer.final_layer_norm(hidden))))
        return self._model.proj_out(self._norm(hidden))[:, 0]


def _encoded(engine: Any, batch: int, frames: int) -> torch.Tensor:
    window = Window(speech(), ())
    return engine._model._encode(engine._model._features([window] * batch, frames))


@torch.inference_mode()
def encoder_times(engine: Any, times_ms: Timer) -> dict[str, Any]:
    """The encoder over 5 s and over 30 s."""
    short = frames_to_encode(int(UTTERANCE_S * 100))
    found = {}
    for frames in (short, WHOLE_FRAMES):
        features = engine._model._features([Window(speech(), ())], frames)
        found[f"{frames // 100} s"] = times_ms(lambda features=features: engine._model._encode(features), 6)["median"]
    return {"ms": found}


@torch.inference_mode()
def measure(engine: Any, batch: int, times_ms: Timer, *, tiny: bool) -> dict[str, Any]:
    """`generate` as the engine calls it, and the same tokens through the graph: equal?, milliseconds."""
    hearing = engine._model
    encoded = _encoded(engine, batch, frames_to_encode(int(UTTERANCE_S * 100)))
    windows, scopes = [Window(speech(), ())] * batch, [CancelScope()] * batch
    prefix = hearing.prefix("pt", None)
    times = 2 if tiny else 6
    written = hearing._write(encoded, windows, prefix, scopes)
    generate = times_ms(lambda: hearing._write(encoded, windows, prefix, scopes), times)
    began = time.perf_counter()
    decoder = StaticDecoder(hearing._model, encoded)
    decoder.capture()
    wait_for_card()
    capture_ms = 1000 * (time.perf_counter() - began)
    start, length = prefix[:-1], len(written[0])

    def graph() -> list[int]:
        """Greedily, after the first token, which a rule sets to a timestamp."""
        tokens = [*start, written[0][0]]
        logits = decoder.logits
        for at, token in enumerate(tokens):
            logits = decoder.step(torch.full_like(decoder.token, token), at)
        for at in range(len(tokens), len(start) + length):
            chosen = logits.argmax(-1, keepdim=True)
            tokens.append(int(chosen[0, 0]))
            logits = decoder.step(chosen, at)
        return tokens[len(start) :]

    found = times_ms(graph, times)
    return {
        "tokens": length,
        "equal": graph() == written[0],
        "generate_ms": generate["median"],
        "graph_ms": found["median"],
        "capture_ms": round(capture_ms, 1),
        "step_ms": round(times_ms(lambda: decoder.step(decoder.token, 40), 20)["median"], 3),
    }
