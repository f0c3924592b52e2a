"""Checkpoints of the GPU stacks' models at their real size with random weights, for where the hub is away.

Speed and memory do not depend on the weights' values. What Whisper and the LLM write is set, though: one layer of each
maps a token to the next one of a script, everything else adds next to nothing to it. So a turn runs through a whole
stack, with as many tokens as a real one. Qwen3-TTS never ends by itself, so it speaks to its limit of frames.

`tiny` makes the same with a few layers, to rehearse on a CPU.
"""

from __future__ import annotations

import importlib.resources
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from serve_app.weights.model_names import resolve

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # the miniatures that the tests use

HEARD = " Eu gosto de futebol e ontem fui ao parque com meus amigos da escola nova"
"""What Whisper writes, whatever it hears: no token twice."""
SAID = " Que bom! Você joga no time da sua escola?"
"""The LLM's reply to everything."""

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Weights = dict[str, torch.Tensor]


def data(name: str) -> Path:
    """A small file that a package brings, or one of the same name in the folder PARLE_GPU_DATA."""
    if folder := os.environ.get("PARLE_GPU_DATA"):
        return Path(folder, name)
    if name == "kokoro.json":
        return Path(str(importlib.resources.files("kokoro_onnx").joinpath("config.json")))
    return resolve("wheel:whisper-base") / {"whisper.json": "config.json"}.get(name, name)


def remember(up: torch.Tensor, down: torch.Tensor, embedding: torch.Tensor, pairs: Sequence[tuple[int, int]]) -> None:
    """Make a feed-forward layer answer the first token of each pair with the second.

    Unit i of `up` [units, width] sees the i-th pair's first token; column i of `down` [width, units] writes its second.
    Of two answers to one token the first pair's is a little likelier.
    """
    seen, written = zip(*pairs, strict=True)
    weight = torch.tensor([0.97 if token in seen[:number] else 1.0 for number, token in enumerate(seen)])
    keys = torch.nn.functional.normalize(embedding[list(seen)].float(), dim=-1)
    values = torch.nn.functional.normalize(embedding[list(written)].float(), dim=-1) * weight[:, None].to(
        embedding.device
    )
    up.mul_(1e-3)[: len(keys)] = (8 * keys).to(up)
    down.mul_(1e-3)[:, : len(keys)] = (50 * values.T).to(down)


def whisper(folder: Path, size: str, tiny: bool) -> None:
    """large-v3-turbo or small, float16."""
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    ends = dict.fromkeys(("unk_token", "bos_token", "eos_token", "pad_token"), "<|endoftext|>")
    tokenizer = WhisperTokenizer(tokenizer_file=str(data("tokenizer.json")), **ends)
    number: Any = tokenizer.convert_tokens_to_ids
    end, start = number("<|endoftext|>"), number("<|startoftranscript|>")
    special = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}
    width, encoder, decoder, heads, mels = (1280, 32, 4, 20, 128) if size == "turbo" else (768, 12, 12, 12, 80)
    if tiny:
        width, encoder, decoder, heads = 128, 1, 2, 2
    config = WhisperConfig(
        vocab_size=51_866 if size == "turbo" else 51_865,
        num_mel_bins=mels,
        d_model=width,
        encoder_layers=encoder,
        decoder_layers=decoder,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width,
        **special,
    )
    torch.manual_seed(0)
    with torch.device(DEVICE):
        model: Any = WhisperForConditionalGeneration(config)
    source = json.loads(data("whisper.json").read_text())
    languages = {token: i for token, i in tokenizer.get_vocab().items() if i in source["lang_ids"]}
    begin: int = number("<|notimestamps|>") + 1
    text = tokenizer(HEARD, add_special_tokens=False).input_ids
    script = [number("<|transcribe|>"), begin, *text, begin + 250, end]
    # Where words are timed there are no timestamps: the text begins and ends without them.
    pairs = [*pairwise(script), (begin - 1, text[0]), (text[-1], end)]
    with torch.no_grad():
        embedding = model.model.decoder.embed_tokens.weight
        embedding.normal_(0, 0.2 if tiny else 0.05)
        for layer in model.model.decoder.layers:
            for small in (layer.self_attn.out_proj, layer.encoder_attn.out_proj, layer.fc2):
                small.weight.mul_(1e-3)
        first = model.model.decoder.layers[0]
        remember(first.fc1.weight, first.fc2.weight, embedding, pairs)
        first.fc1.bias[: len(pairs)] = -4 * width**0.5  # so that only the token itself counts
        model.model.decoder.embed_positions.weight.mul_(1e-3)
    layers = config.decoder_layers
    model.generation_config = GenerationConfig(
        **special,
        alignment_heads=[[layers // 2, 0], [layers - 1, 1]],
        suppress_tokens=source["suppress_ids"],
        begin_suppress_tokens=source["suppress_ids_begin"],
        lang_to_id=languages,
        task_to_id={task: number(f"<|{task}|>") for task in ("transcribe", "translate")},
        no_timestamps_token_id=number("<|notimestamps|>"),
        prev_sot_token_id=number("<|startofprev|>"),
        is_multilingual=True,
        max_length=448,
        return_timestamps=False,
    )
    model.half().save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(feature_size=mels), tokenizer).save_pretrained(folder)


def cefr(folder: Path, tiny: bool) -> None:
    """mDeBERTa-v3-base, float32."""
    from gpu_engines import tiny_cefr

    sizes: dict[str, Any] = {
        "vocab_size": 251_000,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
    }
    more: dict[str, Any] = {"intermediate_size": 3072, "pooler_hidden_size": 768, "max_position_embeddings": 512}
    with torch.device(DEVICE):
        tiny_cefr.make(folder, **({} if tiny else sizes | more))


def kokoro(folder: Path, tiny: bool) -> None:
    """Kokoro-82M, float32; a phoneme lasts 3 frames of 25 ms."""
    from serve_app.engines.tts.kokoro import REPOSITORY, WEIGHTS, KModel

    config = json.loads(data("kokoro.json").read_text())
    if tiny:
        reader = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "num_hidden_layers": 1}
        config |= {"n_layer": 1, "plbert": {**config["plbert"], **reader}}
    (folder / "voices").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    torch.save({}, folder / "none.pth")
    model = KModel(repo_id=REPOSITORY, config=str(folder / "config.json"), model=str(folder / "none.pth"))
    (folder / "none.pth").unlink()
    torch.nn.init.constant_(model.predictor.duration_proj.linear_layer.bias, -2.8)
    torch.save(
        {
            part: {f"module.{name}": tensor for name, tensor in module.state_dict().items()}
            for part, module in model.named_children()
        },
        folder / WEIGHTS,
    )


def ministral(folder: Path, tiny: bool) -> None:
    """Ministral 3 3B in Mistral's own format, bfloat16, without its vision tower."""
    import mistral_common
    from mistral_common.tokens.tokenizers.base import SpecialTokens
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    tekken = json.loads((Path(mistral_common.__file__).parent / "data/tekken_240911.json").read_text("utf-8"))
    tekken["config"]["version"] = "v13"
    special: list[dict[str, Any]] = [dict(token) for token in Tekkenizer.DEPRECATED_SPECIAL_TOKENS]
    known = {token["token_str"] for token in special}
    special += [
        {"rank": len(special) + more, "token_str": token.value, "is_control": True}
        for more, token in enumerate(token for token in SpecialTokens if token.value not in known)
    ]
    tekken["special_tokens"] = special
    tekken.pop("image", None)
    (folder / "tekken.json").write_text(json.dumps(tekken))
    vocabulary: int = tekken["config"]["default_vocab_size"]
    width, layers, heads, pairs, head, inner = (128, 2, 4, 2, 64, 256) if tiny else (3072, 26, 32, 8, 128, 9216)
    vision = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    vision |= {"num_channels": 3, "image_size": 1540, "max_image_size": 1540, "patch_size": 14, "rope_theta": 10_000.0}
    vision |= {"image_token_id": 10, "image_break_token_id": 12, "image_end_token_id": 13, "adapter_bias": False}
    vision |= {"mm_projector_id": "patch_merge", "spatial_merge_size": 2, "add_pre_mm_projector_layer_norm": True}
    params = {"dim": width, "n_layers": layers, "head_dim": head, "hidden_dim": inner, "n_heads": heads}
    params |= {"n_kv_heads": pairs, "rope_theta": 1e6, "norm_eps": 1e-5, "vocab_size": vocabulary}
    params |= {"tied_embeddings": True, "max_position_embeddings": 262_144, "model_type": "transformer"}
    yarn = {"original_max_position_embeddings": 16_384, "factor": 16.0, "apply_scale": False, "beta": 32, "alpha": 1}
    params |= {"yarn": yarn, "vision_encoder": vision}
    params |= {"llama_4_scaling": {"original_max_position_embeddings": 16_384, "beta": 0.1}}
    (folder / "params.json").write_text(json.dumps(params))

    def drawn(*shape: int, scale: float = 0.02) -> torch.Tensor:
        return torch.randn(*shape, device=DEVICE, dtype=torch.bfloat16) * scale

    torch.manual_seed(0)
    ones = torch.ones(width, device=DEVICE, dtype=torch.bfloat16)
    weights: Weights = {"tok_embeddings.weight": drawn(vocabulary, width), "norm.weight": ones}
    for layer in range(layers):
        name = f"layers.{layer}."
        weights |= {
            name + "attention.wq.weight": drawn(heads * head, width),
            name + "attention.wk.weight": drawn(pairs * head, width),
            name + "attention.wv.weight": drawn(pairs * head, width),
            name + "attention.wo.weight": drawn(width, heads * head, scale=2e-5),
            name + "feed_forward.w1.weight": drawn(inner, width),
            name + "feed_forward.w2.weight": drawn(width, inner, scale=2e-5),
            name + "feed_forward.w3.weight": drawn(inner, width),
            name + "attention_norm.weight": ones.clone(),
            name + "ffn_norm.weight": ones.clone(),
        }
    numbers = Tekkenizer.from_file(folder / "tekken.json")
    prompt_end, end = numbers.get_special_token("[/INST]"), numbers.get_special_token("</s>")
    script = [prompt_end, *dict.fromkeys(numbers.encode(SAID, bos=False, eos=False)), end]
    up, gate, down = (weights[f"layers.0.feed_forward.{part}.weight"] for part in ("w3", "w1", "w2"))
    remember(up, down, weights["tok_embeddings.weight"], list(pairwise(script)))
    gate[: len(script) - 1] = up[: len(script) - 1]
    save_file(
        {name: tensor.cpu().contiguous().clone() for name, tensor in weights.items()},
        folder / "consolidated.safetensors",
        metadata={"format": "pt"},
    )


def qwen3_tts(folder: Path, tiny: bool) -> None:
    """Qwen3-TTS 0.6B CustomVoice with its codec."""
    from . import gpu_qwen3_tts

    gpu_qwen3_tts.make(folder, tiny, DEVICE)


MAKERS: dict[str, Callable[[Path, bool], None]] = {
    "turbo": lambda folder, tiny: whisper(folder, "turbo", tiny),
    "small": lambda folder, tiny: whisper(folder, "small", tiny),
    "cefr": cefr,
    "kokoro": kokoro,
    "ministral": ministral,
    "qwen3": qwen3_tts,
}


def make(name: str, models: Path, tiny: bool) -> float:
    """Make a checkpoint in `models`, unless it is there; the seconds it took."""
    began, folder = time.perf_counter(), models / name
    if not folder.exists():
        part = models / f"{name}.part"
        with torch.no_grad():
            MAKERS[name](part, tiny)
        part.rename(folder)
    return time.perf_counter() - began


if __name__ == "__main__":
    print(f"{sys.argv[1]}: {make(sys.argv[1], Path(sys.argv[2]), '--tiny' in sys.argv):.1f} s")
