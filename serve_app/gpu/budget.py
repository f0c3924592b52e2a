"""How much of a card's memory each stage needs, and how much its share leaves for the LLM's KV cache.

A share must hold the weights, the working memory at its peak (`Architecture.workspace`), the CUDA context of the
stage's process and, for the LLM, the keys and values of at least one whole conversation. All of it is computed from the
architecture's numbers: no library is loaded and no network is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from serve_app.config.stack import (
    FasterWhisperConfig,
    KokoroConfig,
    Qwen3TtsConfig,
    StageConfig,
    TransformersCefrConfig,
    TransformersWhisperConfig,
    VllmConfig,
)
from serve_app.errors import StackError
from serve_app.gpu import architectures, checkpoint
from serve_app.gpu.architectures import AnyArchitecture, Deberta, Decoder, Kokoro, Qwen3Tts, Whisper
from serve_app.gpu.cards import CONTEXT_BYTES, Card, context_bytes, present_cards, smallest
from serve_app.gpu.engine_sizes import CEFR_TEXTS_AT_ONCE, QWEN_MAX_SEQUENCE

GIB = 2**30

VLLM_BUFFERS = 3 * GIB // 8
"""The attention kernels' fixed buffer."""
VLLM_GRAPHS = 3 * GIB // 8
"""CUDA graphs for batches of up to `max_replies`."""
VLLM_FOUR_BIT = 0.39
"""What 4-bit weights take more in vLLM than their values and scales: seen with Gemma 3 4B, 3.39 GiB for 2.79."""
VLLM_STEP_TOKENS = 2048
"""vLLM's default `max_num_batched_tokens`: how many tokens of prompts are read in one step."""
KOKORO_SECONDS = 50.0
"""Speech synthesised at once: 300 characters at 12 per second, spoken at half speed."""
QWEN_FRAMES = 325
"""Frames that the codec decodes at once when it does not stream: 300, and 25 before them."""
QWEN_GRAPHS = GIB // 4
"""CUDA graphs of talker and predictor."""

STEP = 0.01
"""Suggested shares are rounded up to a multiple of this."""

WIDTHS = {"auto": 2, "float16": 2, "bfloat16": 2, "float32": 4, "int8": 1, "int8_float16": 1}
"""Bytes per weight."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one stage needs on a card, in bytes."""

    weights: int = 0
    workspace: int = 0
    context: int = 0
    kv_bytes_per_token: int = 0
    kv_tokens: int = 0
    """Tokens that the cache must hold: one conversation of `context_tokens`, or what `kv_cache_gib` asks for."""
    conversation_tokens: int = 0

    @property
    def fixed(self) -> int:
        """Everything but the KV cache."""
        return self.weights + self.workspace + self.context

    @property
    def kv_least(self) -> int:
        return self.kv_tokens * self.kv_bytes_per_token

    @property
    def least(self) -> int:
        return self.fixed + self.kv_least


NOTHING = Need()


def on_card(config: StageConfig) -> bool:
    """Whether the stage uses CUDA: with `device: cpu` its share only counts for Ray's scheduling."""
    return config.num_gpus > 0 and getattr(config, "device", "cuda") == "cuda"


def need(config: StageConfig, folder: Path | None = None, card: Card | None = None) -> Need | None:
    """What a stage needs on a card; None where its model's architecture is unknown until it is downloaded.

    `folder` holds the model's files. Without it, a `model` that is a local folder is read, and any other is looked up
    by name. The weights in a folder are counted from its safetensors.
    """
    if not on_card(config):
        return NOTHING
    name = getattr(config, "model", "")
    if folder is None and (local := Path(name).expanduser()).is_dir():
        folder = local
    model = (checkpoint.of_folder(folder) if folder else None) or architectures.of(name)
    if model is None:
        return None
    width = _width(config)
    stored = checkpoint.stored_bytes(folder, width) if folder and not isinstance(model, Qwen3Tts | Kokoro) else None
    work = _work(config, model, width)
    if work is None:
        return None
    workspace, kv_bytes_per_token, kv_tokens = work
    packed = int(model.quantised_bytes() * VLLM_FOUR_BIT) if isinstance(model, Decoder) else 0
    return Need(
        weights=(stored or model.weight_bytes(width)) + packed,
        workspace=workspace,
        context=context_bytes(card.total_bytes) if card else CONTEXT_BYTES,
        kv_bytes_per_token=kv_bytes_per_token,
        kv_tokens=kv_tokens,
        conversation_tokens=config.context_tokens if isinstance(config, VllmConfig) else 0,
    )


def _width(config: StageConfig) -> int:
    if isinstance(config, FasterWhisperConfig):
        return WIDTHS[config.compute_type or "float16"]
    return 4 if isinstance(config, KokoroConfig) else WIDTHS[getattr(config, "dtype", "auto")]


def _work(config: StageConfig, model: AnyArchitecture, width: int) -> tuple[int, int, int] | None:
    """Workspace, KV bytes per token, and tokens the cache must hold; None where engine and model do not match."""
    match config, model:
        case TransformersWhisperConfig(), Whisper():
            return model.workspace(config.max_batch, width), 0, 0
        case FasterWhisperConfig(), Whisper():
            return model.workspace(config.beam_size, max(width, 2)), 0, 0
        case TransformersCefrConfig(), Deberta():
            return model.workspace(CEFR_TEXTS_AT_ONCE, width), 0, 0
        case Qwen3TtsConfig(), Qwen3Tts():
            return model.workspace(QWEN_MAX_SEQUENCE, QWEN_FRAMES, width) + QWEN_GRAPHS, 0, 0
        case KokoroConfig(), Kokoro():
            return model.workspace(KOKORO_SECONDS), 0, 0
        case VllmConfig(), Decoder():
            graphs = VLLM_GRAPHS if config.cuda_graphs else 0
            at_work = model.workspace(VLLM_STEP_TOKENS, config.max_replies, width)
            a_token = model.kv_bytes_per_token(width)
            asked = math.ceil((config.kv_cache_gib or 0) * GIB / a_token)
            return at_work + VLLM_BUFFERS + graphs, a_token, max(asked, config.context_tokens)
    return None


def kv_cache_bytes(need: Need, card_bytes: int, share: float) -> int:
    """Bytes that a share of a card with `card_bytes` leaves for the LLM's KV cache.

    Raises:
        StackError: they do not hold one conversation.
    """
    given = int(card_bytes * min(share, 1))
    if given < need.least:
        raise StackError(f"llm {lack(need, given)}; {_enough(need, card_bytes)}.")
    return given - need.fixed


def kv_cache(config: VllmConfig, folder: Path) -> int | None:
    """Bytes of KV cache for the LLM in `folder` on this process's card; None lets vLLM decide.

    `kv_cache_gib` if given, else what the share leaves. None on a CPU, for a share of several cards, and where the
    model's architecture or the card's memory is unknown.

    Raises:
        StackError: they do not hold one conversation.
    """
    if config.kv_cache_gib is not None:
        return int(config.kv_cache_gib * GIB)
    if not on_card(config) or config.num_gpus > 1:
        return None
    if not (cards := present_cards()) or (needed := need(config, folder, smallest(cards))) is None:
        return None
    return kv_cache_bytes(needed, smallest(cards).usable_bytes, config.num_gpus)


def share_for(needed: int, card_bytes: int) -> float:
    """The smallest share of a card that holds `needed` bytes; over 1 if the card is too small."""
    return math.ceil(needed / card_bytes / STEP - 1e-9) * STEP


def lack(need: Need, given: int) -> str:
    """The clause of an error message that says what a share of `given` bytes lacks."""
    parts = f"weights {gib(need.weights)}, workspace {gib(need.workspace)}, context {gib(need.context)}"
    if need.kv_least:
        parts += f", cache of {need.kv_tokens} tokens {gib(need.kv_least)}"
    return f"needs {gib(need.least)} GiB ({parts}) and its share is {gib(given)} GiB"


def _enough(need: Need, card_bytes: int) -> str:
    share = share_for(need.least, card_bytes)
    return f"num_gpus {share:g} would fit" if share <= 1 else "a larger card is needed"


def gib(size: int) -> str:
    """Bytes as GiB with two decimals, for messages and tables."""
    return f"{size / GIB:.2f}"
