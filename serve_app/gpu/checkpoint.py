"""What a checkpoint in a folder says of its size: its config's numbers, and the headers of its safetensors."""

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
"""Bytes of a value in a safetensors file; only `FLOATS` are converted when they are loaded."""

VISION = ("vision_tower.", "vision_encoder.", "vision_language_adapter.", "multi_modal_projector.", "patch_merger.")
"""Tensors of a multimodal checkpoint that a text-only engine leaves out."""


def of_folder(folder: Path) -> AnyArchitecture | None:
    """The architecture that a folder's config.json or params.json describes; None where that says nothing known."""
    try:
        if (config := folder / "config.json").is_file():
            return _of_config(json.loads(config.read_text("utf-8")))
        if (params := folder / "params.json").is_file():
            return _of_params(json.loads(params.read_text("utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        pass  # another model's numbers under other names: as unknown as none
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
        weight_bits=4 if quantised else None,  # the files say how large it is
    )


def _of_params(params: dict[str, Any]) -> Decoder:
    """Mistral's own format."""
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
    """The weights in a folder's safetensors as they lie on the card: floats in `width` bytes, vision left out.

    None where there are none. A repository that holds the same weights twice, in Mistral's form
    (consolidated*.safetensors) and in that of transformers (model*.safetensors), counts once.
    """
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("consolidated*.safetensors"))
    try:
        return sum(_tensor_bytes(file, width) for file in files) if files else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error):
        return None


def _tensor_bytes(file: Path, width: int) -> int:
    """From the file's header: its length in 8 bytes, then JSON with each tensor's dtype and shape."""
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
