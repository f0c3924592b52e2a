"""Small checkpoints for the vLLM engine: the real architectures in miniature, and one real small model.

The weights of the miniatures are random, so what they write means nothing; that they
load, and from which files, is what they show.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mistral_common
import pytest
import torch
import transformers
import wordfreq
from gguf.constants import TokenType
from gpu_engines import gguf_file
from mistral_common.tokens.tokenizers.base import SpecialTokens
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import Gemma3Config, Gemma3ForConditionalGeneration

STUBS = Path(__file__).parent / "stubs"

VISION = 32
"""Width of the miniatures' vision towers."""


@contextmanager
def torchvision() -> Iterator[None]:
    """Lets multimodal model classes be imported where torch has no torchvision beside it; text calls nothing of it."""
    found = importlib.util.find_spec("torchvision")
    if found is not None and not str(found.origin).startswith(str(STUBS)):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(STUBS)
        patch.setenv("PYTHONPATH", str(STUBS), prepend=os.pathsep)  # vLLM looks at a class in a process of its own
        yield


def gemma_270m(gguf: Path, folder: Path) -> Path:
    """Gemma 3 270M from its GGUF file in Hugging Face's layout, as bfloat16; made once.

    With a fifth of its tokens, which is enough for Portuguese: with all 262,144 vLLM needs half a
    minute to load the tokenizer, and half of the model's work is to choose among them.
    """
    done = folder / "config.json"
    if done.is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    file = gguf_file.read(gguf)
    kept = _tokens_of_portuguese(file)
    gemma_tokenizer(file, kept).save(str(folder / "tokenizer.json"))
    _write_json(folder / "tokenizer_config.json", GEMMA_TOKENIZER)
    weights = {}
    for gguf_name, tensor in file.tensors.items():
        values = tensor.values(kept if gguf_name == "token_embd.weight" else None)
        name = _hugging_face_name(gguf_name)
        # GGUF keeps a norm's factor, Hugging Face its difference from one.
        weights[name] = torch.from_numpy(values - 1 if "norm" in name else values).bfloat16().contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    sizes = {
        name: file.fields[f"gemma3.{key}"]
        for name, key in {
            "num_hidden_layers": "block_count",
            "hidden_size": "embedding_length",
            "intermediate_size": "feed_forward_length",
            "num_attention_heads": "attention.head_count",
            "num_key_value_heads": "attention.head_count_kv",
            "head_dim": "attention.key_length",
            "sliding_window": "attention.sliding_window",
            "max_position_embeddings": "context_length",
        }.items()
    }
    layers = range(sizes["num_hidden_layers"])
    config = {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "dtype": "bfloat16",
        "vocab_size": len(kept),
        "query_pre_attn_scalar": sizes["head_dim"],
        "layer_types": ["full_attention" if layer % 6 == 5 else "sliding_attention" for layer in layers],
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
        "tie_word_embeddings": True,
        "transformers_version": transformers.__version__,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
        **sizes,
    }
    _write_json(done, config)
    return folder


GEMMA_TOKENIZER = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": "<bos>",
    "eos_token": "<eos>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
}
IMAGE_TOKEN = "<unused0>"
FIRST = 40_000
"""Of Gemma's tokens in Latin letters so many are kept whatever they mean: the longer ones are joined from them."""
WORD = 1e-6
"""How often a Portuguese word must be met in texts for a token of its own to be kept."""


def _tokens_of_portuguese(file: gguf_file.GgufFile) -> list[int]:
    """The numbers of the tokens that are kept: control tokens, bytes, letters, frequent syllables and words."""
    words = wordfreq.get_frequency_dict("pt")
    kinds = map(TokenType, file.fields["tokenizer.ggml.token_type"])
    kept = []
    for number, (token, kind) in enumerate(zip(file.fields["tokenizer.ggml.tokens"], kinds, strict=True)):
        if kind == TokenType.NORMAL:
            latin = all(ord(letter) < 0x180 or letter == "▁" for letter in token)
            first = number < FIRST or len(token) == 1
            keep = latin and (first or words.get(token.strip("▁").lower(), 0) >= WORD)
        else:
            keep = token == IMAGE_TOKEN or not token.startswith("<unused")
        if keep:
            kept.append(number)
    return kept


def gemma_tokenizer(file: gguf_file.GgufFile, kept: list[int]) -> Tokenizer:
    """Gemma's byte-pair encoding, of the tokens that are kept; like most conversions it adds no <bos>.

    GGUF keeps no list of merges: they are all the ways to join two tokens into a third,
    in the order of the third's score.
    """
    tokens, scores, numbers = (file.fields[f"tokenizer.ggml.{name}"] for name in ("tokens", "scores", "token_type"))
    tokens, scores = [tokens[number] for number in kept], [scores[number] for number in kept]
    kinds = [TokenType(numbers[number]) for number in kept]
    ids = {token: number for number, token in enumerate(tokens)}
    merges = []
    for token, score, kind in zip(tokens, scores, kinds, strict=True):
        if kind != TokenType.NORMAL:
            continue
        for cut in range(1, len(token)):
            left, right = ids.get(token[:cut]), ids.get(token[cut:])
            if left is not None and right is not None:
                merges.append((-score, left, right))
    merges.sort()
    pairs = [(tokens[left], tokens[right]) for _, left, right in merges]
    tokenizer = Tokenizer(models.BPE(ids, pairs, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    whole = {TokenType.CONTROL: True, TokenType.USER_DEFINED: False}
    tokenizer.add_tokens(
        [
            AddedToken(token, special=whole[kind], normalized=False)
            for token, kind in zip(tokens, kinds, strict=True)
            if kind in whole
        ]
    )
    return tokenizer


def _hugging_face_name(name: str) -> str:
    parts = {
        "token_embd": "embed_tokens",
        "output_norm": "norm",
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "attn_q_norm": "self_attn.q_norm",
        "attn_k_norm": "self_attn.k_norm",
        "attn_norm": "input_layernorm",
        "post_attention_norm": "post_attention_layernorm",
        "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }
    *block, part, kind = name.split(".")
    layer = f"layers.{block[1]}." if block else ""
    return f"model.{layer}{parts[part]}.{kind}"


def ministral(folder: Path, *, tower: bool = True) -> Path:
    """Ministral 3 in miniature, as Mistral publishes it: tekken.json, params.json, consolidated.safetensors.

    Without `tower` the weights of the vision tower are not in the file: vLLM refuses a file
    that lacks any weight it has made room for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _tekken(folder / "tekken.json")
    width, layers, heads, kv_heads, head, inner = 64, 2, 4, 2, 64, 128
    params = {
        "dim": width,
        "n_layers": layers,
        "head_dim": head,
        "hidden_dim": inner,
        "n_heads": heads,
        "n_kv_heads": kv_heads,
        "rope_theta": 1e6,
        "norm_eps": 1e-5,
        "vocab_size": vocabulary,
        "tied_embeddings": True,
        "max_position_embeddings": 4096,
        "model_type": "transformer",
        "yarn": {
            "original_max_position_embeddings": 1024,
            "factor": 4.0,
            "apply_scale": False,
            "beta": 32,
            "alpha": 1,
        },
        "llama_4_scaling": {"original_max_position_embeddings": 1024, "beta": 0.1},
        "vision_encoder": {
            "hidden_size": VISION,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_channels": 3,
            "image_size": 56,
            "max_image_size": 56,
            "patch_size": 14,
            "rope_theta": 10000.0,
            "image_token_id": 10,
            "image_break_token_id": 12,
            "image_end_token_id": 13,
            "mm_projector_id": "patch_merge",
            "spatial_merge_size": 2,
            "add_pre_mm_projector_layer_norm": True,
            "adapter_bias": False,
        },
    }
    _write_json(folder / "params.json", params)
    random = _Random()
    weights = {"tok_embeddings.weight": random(vocabulary, width), "norm.weight": _ones(width)}
    for layer in range(layers):
        weights |= _mistral_layer(f"layers.{layer}.", random, width, heads * head, kv_heads * head, inner)
    if tower:
        weights |= _vision_tower(random, width)
    save_file(weights, folder / "consolidated.safetensors")
    return folder


def _vision_tower(random: _Random, width: int) -> dict[str, torch.Tensor]:
    tower = {
        "vision_encoder.patch_conv.weight": random(VISION, 3, 14, 14),
        "vision_encoder.ln_pre.weight": _ones(VISION),
        "patch_merger.merging_layer.weight": random(VISION, VISION * 4),
        "pre_mm_projector_norm.weight": _ones(VISION),
        "vision_language_adapter.w_in.weight": random(width, VISION),
        "vision_language_adapter.w_out.weight": random(width, width),
    }
    return tower | _mistral_layer("vision_encoder.transformer.layers.0.", random, VISION, VISION, VISION, 64)


def _mistral_layer(
    prefix: str, random: _Random, width: int, queries: int, keys: int, inner: int
) -> dict[str, torch.Tensor]:
    layer = {
        "attention.wq.weight": random(queries, width),
        "attention.wk.weight": random(keys, width),
        "attention.wv.weight": random(keys, width),
        "attention.wo.weight": random(width, queries),
        "feed_forward.w1.weight": random(inner, width),
        "feed_forward.w2.weight": random(width, inner),
        "feed_forward.w3.weight": random(inner, width),
        "attention_norm.weight": _ones(width),
        "ffn_norm.weight": _ones(width),
    }
    return {prefix + name: weight for name, weight in layer.items()}


def _tekken(path: Path) -> int:
    """mistral_common's own tokenizer with Ministral's version and control tokens; returns how many tokens it has."""
    data = Path(mistral_common.__file__).parent / "data/tekken_240911.json"
    tekken: dict[str, Any] = json.loads(data.read_text("utf-8"))
    tekken["config"]["version"] = "v13"
    special: list[dict[str, Any]] = [dict(token) for token in Tekkenizer.DEPRECATED_SPECIAL_TOKENS]
    known = {token["token_str"] for token in special}
    for token in SpecialTokens:
        if token.value not in known:
            special.append({"rank": len(special), "token_str": token.value, "is_control": True})
    tekken["special_tokens"] = special
    tekken.pop("image", None)
    _write_json(path, tekken)
    return tekken["config"]["default_vocab_size"]


def gemma_multimodal(tokenizer: Path, folder: Path, *, quantized: bool = False) -> Path:
    """Gemma 3 for images and text in miniature, the tokenizer of `tokenizer`; its template asks for alternation.

    `quantized`: the language model's weights in 4 bits as compressed-tensors packs them (w4a16).
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    config = Gemma3Config(
        text_config={
            "vocab_size": words.get_vocab_size(),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 64,
            "sliding_window": 128,
            "layer_types": ["sliding_attention", "full_attention"],
            "max_position_embeddings": 2048,
            "query_pre_attn_scalar": 64,
        },
        vision_config={
            "hidden_size": VISION,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
        },
        mm_tokens_per_image=4,
        image_token_index=words.token_to_id(IMAGE_TOKEN),
        boi_token_index=words.token_to_id("<start_of_image>"),
        eoi_token_index=words.token_to_id("<end_of_image>"),
    )
    torch.manual_seed(0)
    model = Gemma3ForConditionalGeneration(config).bfloat16()  # pyright: ignore[reportCallIssue]
    model.save_pretrained(folder)
    if quantized:
        _quantize(folder)
    (folder / "tokenizer.json").write_bytes((tokenizer / "tokenizer.json").read_bytes())
    _write_json(folder / "tokenizer_config.json", GEMMA_TOKENIZER | {"chat_template": GEMMA_TEMPLATE})
    return folder


GEMMA_TEMPLATE = """{{ bos_token }}\
{%- if messages[0]['role'] == 'system' -%}\
{%- set first = messages[0]['content'] + '\n\n' -%}{%- set said = messages[1:] -%}\
{%- else -%}{%- set first = '' -%}{%- set said = messages -%}{%- endif -%}\
{%- for message in said -%}\
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}\
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}\
{%- endif -%}\
{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\n' + (first if loop.first else '')
 + message['content'] | trim + '<end_of_turn>\n' }}\
{%- endfor -%}\
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"""
"""Gemma 3's chat template for text: the system's words stand in the user's first turn."""

GROUP = 32
"""Weights that share a scale."""


def _quantize(folder: Path) -> None:
    """Pack the language model's linear weights: symmetric 4 bits, eight to an int32, one bfloat16 scale a group."""
    from safetensors.torch import load_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    for name in [name for name in weights if "language_model" in name and "_proj.weight" in name]:
        weight = weights.pop(name).float()
        rows, columns = weight.shape
        groups = weight.reshape(rows, columns // GROUP, GROUP)
        scale = groups.abs().amax(-1, keepdim=True) / 7
        digits = (torch.round(groups / scale).clamp(-8, 7) + 8).to(torch.int64).reshape(rows, columns // 8, 8)
        packed = (digits << (4 * torch.arange(8))).sum(-1)
        stem = name.removesuffix("weight")
        # The highest of the eight reaches the sign's bit.
        weights[f"{stem}weight_packed"] = torch.where(packed >= 2**31, packed - 2**32, packed).to(torch.int32)
        weights[f"{stem}weight_scale"] = scale.squeeze(-1).bfloat16()
        weights[f"{stem}weight_shape"] = torch.tensor([rows, columns])
    save_file(weights, path, metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["quantization_config"] = {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "input_activations": None,
                "output_activations": None,
                "weights": {
                    "num_bits": 4,
                    "type": "int",
                    "symmetric": True,
                    "strategy": "group",
                    "group_size": GROUP,
                },
            }
        },
        "ignore": ["lm_head", "re:.*vision.*", "re:.*multi_modal_projector.*"],
    }
    _write_json(folder / "config.json", config)


class _Random:
    """Random bfloat16 weights, the same in every run."""

    def __init__(self) -> None:
        self._generator = torch.Generator().manual_seed(0)

    def __call__(self, *shape: int) -> torch.Tensor:
        return (torch.randn(*shape, generator=self._generator) * 0.05).bfloat16()


def _ones(size: int) -> torch.Tensor:
    return torch.ones(size).bfloat16()


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
