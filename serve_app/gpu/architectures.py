"""How large a model is: parameters, weights, cache and working memory, computed from its architecture.

The numbers are in `data/models.toml` for the models that the stacks name, and are read from `config.json` (or Mistral's
`params.json`) for a model in a folder. Parameter counts are exact; working memory is the peak of one step, by the
formula in each `workspace`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from serve_app.package_data import data_file

MODELS = data_file("models.toml")


class Architecture(BaseModel):
    """Fields that every entry of the catalogue may have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gated: bool = False
    aliases: tuple[str, ...] = ()


class Whisper(Architecture):
    """Whisper: encoder and decoder, the output layer tied to the embedding."""

    kind: Literal["whisper"] = "whisper"
    hidden: int
    encoder_layers: int
    decoder_layers: int
    ffn: int
    vocab: int
    mels: int
    positions: int = 1500
    """Encoder positions for 30 s of audio."""
    targets: int = 448
    """Longest text in tokens."""

    def count(self) -> int:
        """Parameters."""
        hidden = self.hidden
        attention = 4 * hidden * hidden + 3 * hidden  # the keys have no bias
        mlp = 2 * hidden * self.ffn + self.ffn + hidden
        norm = 2 * hidden
        front = (3 * self.mels * hidden + hidden) + (3 * hidden * hidden + hidden) + self.positions * hidden
        encoder = self.encoder_layers * (attention + mlp + 2 * norm) + norm
        decoder = self.decoder_layers * (2 * attention + mlp + 3 * norm) + norm
        return front + encoder + (self.vocab + self.targets) * hidden + decoder

    def weight_bytes(self, width: float) -> int:
        return int(self.count() * width)

    def workspace(self, batch: int, width: int) -> int:
        """Peak bytes for `batch` utterances of 30 s: the encoder's output and the largest of three steps.

        Encoding: the MLP's two large and two small tensors, [batch, positions, ffn] and [..., hidden].
        Writing: the decoder's keys and values of its own text and of the encoder's output.
        Placing the words: the cross attention [batch, heads, targets, positions] of half the decoder's layers
        and twice that of the current one, the scores [batch, targets, vocab], and those of one text in float32, twice.
        """
        heads = self.hidden // 64  # in every Whisper
        encoded = batch * self.positions * self.hidden * width
        encoding = batch * self.positions * 2 * (self.hidden + self.ffn) * width
        writing = batch * self.decoder_layers * 2 * self.hidden * (self.positions + self.targets) * width
        attention = batch * heads * self.targets * self.positions * width
        scores = self.targets * self.vocab * (batch * width + 2 * 4)
        placing = (math.ceil(self.decoder_layers / 2) + 2) * attention + scores
        return encoded + max(encoding, writing, placing)


class Deberta(Architecture):
    """A DeBERTa-v2/v3 classifier whose relative positions share the projections of the content."""

    kind: Literal["deberta"] = "deberta"
    hidden: int
    layers: int
    heads: int
    ffn: int
    vocab: int
    positions: int
    position_buckets: int
    labels: int

    def count(self) -> int:
        """Parameters."""
        hidden = self.hidden
        norm = 2 * hidden
        layer = 4 * (hidden * hidden + hidden) + 2 * hidden * self.ffn + self.ffn + hidden + 2 * norm
        relative = 2 * self.position_buckets * hidden + norm
        head = hidden * hidden + hidden + hidden * self.labels + self.labels
        return self.vocab * hidden + norm + self.layers * layer + relative + head

    def weight_bytes(self, width: float) -> int:
        return int(self.count() * width)

    def workspace(self, batch: int, width: int) -> int:
        """Peak bytes for `batch` texts of full length.

        Attention holds six tensors [batch, heads, positions, positions] at once: the scores, two kinds of
        relative scores before and after they are gathered, and the softmax.
        """
        attention = 6 * batch * self.heads * self.positions**2 * width
        mlp = batch * self.positions * 2 * (self.hidden + self.ffn) * width
        return attention + mlp


class Decoder(Architecture):
    """A decoder-only language model with grouped-query attention and a gated MLP, without biases."""

    kind: Literal["decoder"] = "decoder"
    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool = True
    norms: int = 2
    """Vectors of `hidden` values in each layer."""
    qk_norm: bool = False
    weight_bits: int | None = None
    """Bits of the layers' linear weights if they are quantised; embedding and norms never are."""
    group: int = 128
    """Number of weights that share one 16-bit scale."""
    sliding_layers: int = 0
    """How many of the layers see a window only."""

    def linear(self) -> int:
        """Parameters of the layers' linear weights."""
        attention = self.hidden * (self.heads + 2 * self.kv_heads) * self.head_dim
        attention += self.heads * self.head_dim * self.hidden
        return self.layers * (attention + 3 * self.hidden * self.ffn)

    def count(self) -> int:
        """Parameters."""
        norms = self.layers * (self.norms * self.hidden + (2 * self.head_dim if self.qk_norm else 0)) + self.hidden
        return self.linear() + norms + self.vocab * self.hidden * (1 if self.tied else 2)

    def weight_bytes(self, width: float) -> int:
        if self.weight_bits is None:
            return int(self.count() * width)
        return int(self.quantised_bytes() + (self.count() - self.linear()) * width)

    def quantised_bytes(self) -> float:
        """Of the layers' linear weights and their scales; 0 if they are not quantised."""
        return 0 if self.weight_bits is None else self.linear() * (self.weight_bits / 8 + 2 / self.group)

    def kv_layers(self) -> int:
        """Layers that the cache is made for.

        vLLM keeps it in groups of equally many layers of one kind, as many as the rarer kind has, and fills up the
        last group: 34 layers, 29 of them sliding, become 7 groups of 5.
        """
        full = self.layers - self.sliding_layers
        if not full or not self.sliding_layers:
            return self.layers
        group = min(full, self.sliding_layers)
        return group * sum(math.ceil(layers / group) for layers in (full, self.sliding_layers))

    def kv_bytes_per_token(self, width: int) -> int:
        """Bytes of the keys and values of one token in all layers. That a window needs fewer tokens is ignored."""
        return 2 * self.kv_layers() * self.kv_heads * self.head_dim * width

    def workspace(self, tokens: int, replies: int, width: int) -> int:
        """Peak bytes of a step over `tokens` tokens that samples one token for each of `replies`.

        The MLP's three tensors [tokens, ffn] and four [tokens, hidden]; for sampling five times the float32 scores
        [replies, vocab] (scores, sorted, their 64-bit indices, probabilities).
        """
        return tokens * (3 * self.ffn + 4 * self.hidden) * width + 5 * replies * self.vocab * 4


class Qwen3Tts(Architecture):
    """Qwen3-TTS: talker, code predictor and codec."""

    kind: Literal["qwen3-tts"] = "qwen3-tts"
    hidden: int
    layers: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    codec_vocab: int
    text_vocab: int
    text_hidden: int
    predictor_hidden: int
    predictor_layers: int
    predictor_ffn: int
    predictor_vocab: int
    code_groups: int
    decoder_dim: int
    upsample_rates: tuple[int, ...]
    upsampling_ratios: tuple[int, ...]
    codec_parameters: int

    def _transformer(self, layers: int, hidden: int, ffn: int, vocab: int) -> Decoder:
        return Decoder(
            layers=layers,
            hidden=hidden,
            ffn=ffn,
            heads=self.heads,
            kv_heads=self.kv_heads,
            head_dim=self.head_dim,
            vocab=vocab,
            tied=False,
            qk_norm=True,
        )

    def talker(self) -> Decoder:
        """The language model that generates the first code of each frame."""
        return self._transformer(self.layers, self.hidden, self.ffn, self.codec_vocab)

    def predictor(self) -> Decoder:
        """The small model that generates the other codes, with an embedding and an output layer for each."""
        codes = (self.code_groups - 1) * self.predictor_vocab
        return self._transformer(self.predictor_layers, self.predictor_hidden, self.predictor_ffn, codes)

    def count(self) -> int:
        """Parameters of talker and predictor, without the codec's `codec_parameters`."""
        text = self.text_vocab * self.text_hidden
        projection = self.text_hidden**2 + self.text_hidden + self.text_hidden * self.hidden + self.hidden
        # The predictor's embeddings are as wide as the talker; a projection follows where the two differ.
        codes = (self.code_groups - 1) * self.predictor_vocab
        wider = codes * (self.hidden - self.predictor_hidden)
        joint = 0 if self.hidden == self.predictor_hidden else (self.hidden + 1) * self.predictor_hidden
        return self.talker().count() + self.predictor().count() + wider + joint + text + projection

    def weight_bytes(self, width: float) -> int:
        return int((self.count() + self.codec_parameters) * width)

    def workspace(self, tokens: int, frames: int, width: int) -> int:
        """Bytes of the talker's cache of `tokens`, and peak bytes for `frames` decoded at once.

        Six tensors of the codec's last stage, [frames x samples a frame, decoder_dim / 2^stages].
        """
        samples = math.prod(self.upsample_rates) * math.prod(self.upsampling_ratios)
        channels = self.decoder_dim // 2 ** len(self.upsample_rates)
        return tokens * self.talker().kv_bytes_per_token(width) + 6 * frames * samples * channels * width


class Kokoro(Architecture):
    """Kokoro: StyleTTS 2 with an iSTFTNet vocoder, float32."""

    kind: Literal["kokoro"] = "kokoro"
    parameters: int
    channels: int
    """Channels of the last upsampling stage, which runs at a fifth of the sample rate."""

    def count(self) -> int:
        """Parameters."""
        return self.parameters

    def weight_bytes(self, width: float) -> int:
        return int(self.parameters * width)

    def workspace(self, seconds: float) -> int:
        """Peak bytes for `seconds` of speech: eight float32 tensors [seconds x 4800, channels]."""
        return int(8 * self.channels * seconds * 24_000 / 5 * 4)


AnyArchitecture = Annotated[Whisper | Deberta | Decoder | Qwen3Tts | Kokoro, Field(discriminator="kind")]


@cache
def known() -> Mapping[str, AnyArchitecture]:
    """The catalogue by model name, aliases included."""
    entries = TypeAdapter(dict[str, AnyArchitecture]).validate_python(tomllib.loads(MODELS.read_text("utf-8")))
    return {name: entry for main, entry in entries.items() for name in (main, *entry.aliases)}


def of(model: str) -> AnyArchitecture | None:
    """The architecture of a model by its name in the YAML, with or without `@revision`; None if it is unknown."""
    return known().get(model) or known().get(model.partition("@")[0])
