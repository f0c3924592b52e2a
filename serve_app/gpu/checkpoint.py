"""A checkpoint folder's architecture, from its config, and the size of its weights, from its safetensors' headers."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

from serve_app.gpu.architectures import AnyArchitecture, Deberta, Decoder, Whisper

FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
INTEGERS = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}
FLOAT8 = {"F8_E4M3": 1, "F8_E5M2": 1}
"""Bytes per value in a safetensors file; only `FLOATS` are converted when they are loaded."""

VISION = ("vision_tower.", "vision_encoder.", "vision_language_adapter.", "multi_modal_projector.", "patch_merger.")
"""Prefixes of a multimodal checkpoint's tensors that a text-only engine does not load."""


def of_folder(folder: Path) -> AnyArchitecture | None:
    """The architecture that a folder's config.json or params.json describes; None if it is of an unknown kind."""
    try:
        if (config := folder / "config.json").is_file():
            return _of_config(json.loads(config.read_text("utf-8")))
        if (params := folder / "params.json").is_file():
            return _of_params(json.loads(params.read_text("utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        pass  # another kind of model, with other names
    return None


def _of_config(config: dict[str, Any]) -> AnyArchitecture | None:
    kind = config.get("model_type")
    if kind == "whisper":
        return Whisper(
            hidden=config["d_model"],
            encoder_layers=config["encoder_layers"],
            decoder_layers=config["decoder_layers"],
            ffn=config["encoder_ffn_dim"],
            vocab=config["vocab_size"],
            mels=config["num_mel_bins"],
            positions=config.get("max_source_positions", 1500),
            targets=config.get("max_target_positions", 448),
        )
    if kind == "deberta-v2":
        return Deberta(
            hidden=config["hidden_size"],
            layers=config["num_hidden_layers"],
            heads=config["num_attention_heads"],
            ffn=config["intermediate_size"],
            vocab=config["vocab_size"],
            positions=config["max_position_embeddings"],
            position_buckets=config["position_buckets"],
            labels=len(config.get("id2label", ())) or 2,
        )
    text = config.get("text_config") or config
    if "num_key_value_heads" not in text:
        return None
    heads, hidden = text["num_attention_heads"], text["hidden_size"]
    quantised = config.get("quantization_config")
    return Decoder(
        layers=text["num_hidden_layers"],
        hidden=hidden,
        ffn=text["intermediate_size"],
        heads=heads,
        kv_heads=text["num_key_value_heads"],
        head_dim=text.get("head_dim") or hidden // heads,
        vocab=text["vocab_size"],
        tied=text.get("tie_word_embeddings", config.get("tie_word_embeddings", True)),
        sliding_layers=_sliding(text, str(kind)),
        weight_bits=4 if quantised else None,  # only a guess: stored_bytes counts the files
    )


def _sliding(text: dict[str, Any], kind: str) -> int:
    """How many layers see a window only: listed by name, or all but every so many."""
    if kinds := text.get("layer_types"):
        return kinds.count("sliding_attention")
    every = text.get("sliding_window_pattern") or (6 if kind.startswith("gemma3") else 0)
    layers = text["num_hidden_layers"]
    return layers - layers // every if every else 0


def _of_params(params: dict[str, Any]) -> Decoder:
    """From params.json, Mistral's own format."""
    return Decoder(
        layers=params["n_layers"],
        hidden=params["dim"],
        ffn=params["hidden_dim"],
        heads=params["n_heads"],
        kv_heads=params["n_kv_heads"],
        head_dim=params["head_dim"],
        vocab=params["vocab_size"],
        tied=params.get("tied_embeddings", False),
    )


def stored_bytes(folder: Path, width: int) -> int | None:
    """Bytes of a folder's safetensors once loaded: floats in `width` bytes, without the vision tensors.

    None if there are none. Where the folder holds the same weights twice, in Mistral's format
    (consolidated*.safetensors) and in that of transformers (model*.safetensors), they count once.
    """
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("consolidated*.safetensors"))
    try:
        return sum(_tensor_bytes(file, width) for file in files) if files else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error):
        return None


def _tensor_bytes(file: Path, width: int) -> int:
    """Counted from the file's header: 8 bytes with its length, then JSON with each tensor's dtype and shape."""
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        tensors = json.loads(stream.read(length))
    total = 0
    for name, tensor in tensors.items():
        if name == "__metadata__" or name.removeprefix("model.").startswith(VISION):
            continue
        dtype = tensor["dtype"]
        total += math.prod(tensor["shape"]) * (width if dtype in FLOATS else (INTEGERS | FLOAT8)[dtype])
    return total
