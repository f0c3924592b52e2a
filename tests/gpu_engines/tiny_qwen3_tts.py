"""A tiny Qwen3-TTS CustomVoice model with random weights, in a folder as published; and its graphs run eagerly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from faster_qwen3_tts import FasterQwen3TTS
from faster_qwen3_tts.predictor_graph import PredictorGraph
from faster_qwen3_tts.talker_graph import TalkerGraph
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from serve_app.engines.tts.qwen3_tts import (  # first: it makes qwen_tts importable
    QWEN_MAX_SEQUENCE,
    Qwen3Tts,
    Qwen3TTSModel,
)

# isort: split
from qwen_tts.core import Qwen3TTSTokenizerV2Config, Qwen3TTSTokenizerV2Model
from qwen_tts.core.models import Qwen3TTSConfig, Qwen3TTSForConditionalGeneration

SAMPLES_PER_FRAME = 1920
SPEAKERS = {
    "serena": 3066,
    "vivian": 3065,
    "uncle_fu": 3010,
    "ryan": 3061,
    "aiden": 2861,
    "ono_anna": 2873,
    "sohee": 2864,
    "eric": 2875,
    "dylan": 2878,
}
DIALECTS = {"eric": "sichuan_dialect", "dylan": "beijing_dialect"}
LANGUAGES = {"chinese": 2055, "english": 2050, "portuguese": 2071, "beijing_dialect": 2074, "sichuan_dialect": 2062}
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tts_pad>", "<tts_text_bos>", "<tts_text_eod>")
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "head_dim": 16,
    "num_hidden_layers": 1,
}
SAMPLING = {"do_sample": True, "temperature": 0.9, "top_k": 50, "top_p": 1.0}


def make(folder: Path, seed: int = 0) -> Path:
    """Write talker, codec and tokenizer. The talker never ends by itself."""
    torch.manual_seed(seed)
    (folder / "speech_tokenizer").mkdir(parents=True)
    tokens = _write_tokenizer(folder)
    _write_talker(folder, tokens)
    _write_codec(folder / "speech_tokenizer")
    return folder


class EagerQwen3Tts(Qwen3Tts):
    """The engine as on CUDA, on the CPU: the library's streaming, with the steps of its graphs run one by one."""

    def _load(self, model: Path, device: torch.device, dtype: torch.dtype) -> FasterQwen3TTS:
        # As FasterQwen3TTS.from_pretrained does, which refuses a CPU.
        base = Qwen3TTSModel.from_pretrained(
            str(model), device_map=str(device), torch_dtype=dtype, attn_implementation="sdpa"
        )
        talker, config = base.model.talker, base.model.config.talker_config
        on: dict[str, Any] = {"device": "cpu:0", "dtype": dtype}
        predictor = _EagerPredictor(talker.code_predictor, talker.code_predictor.model.config, config.hidden_size, **on)
        steps = _EagerTalker(talker.model, config, max_seq_len=QWEN_MAX_SEQUENCE, **on)
        return FasterQwen3TTS(base, predictor, steps, max_seq_len=QWEN_MAX_SEQUENCE, **on)


class _EagerPredictor(PredictorGraph):
    def capture(self, num_warmup: int = 3) -> None:
        self._init_cache_layers()
        self._build_attention_masks()
        self.graph = _Eager(self._full_loop)


class _EagerTalker(TalkerGraph):
    def capture(self, prefill_len: int = 100, num_warmup: int = 3) -> None:
        self._init_cache_layers()
        self._build_attention_masks()
        self.graph = _Eager(self._decode_step)


class _Eager:
    """In the place of a captured CUDA graph."""

    def __init__(self, replay: Any) -> None:
        self.replay = replay


def _write(module: torch.nn.Module, config: dict[str, Any], folder: Path) -> None:
    # Not save_pretrained, which fails with transformers 5 on these classes' _tied_weights_keys.
    weights = {name: tensor.contiguous().clone() for name, tensor in module.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = {**config, "architectures": [type(module).__name__], "dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(config))


def _write_tokenizer(folder: Path) -> dict[str, int]:
    """Bytes, and `assistant` as one token, since the library counts the tokens of its prompt."""
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = byte_level  # pyright: ignore[reportAttributeAccessIssue] - a binary module
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["assistant\n"] * 50 + ["olá tudo bem eu sou a professora"] * 5, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL[0],
        eos_token=SPECIAL[2],
        additional_special_tokens=list(SPECIAL[1:]),
    )
    fast.save_pretrained(folder)
    config = json.loads((path := folder / "tokenizer_config.json").read_text())
    config.update(tokenizer_class="Qwen2Tokenizer", processor_class="Qwen3TTSProcessor")
    path.write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps({"processor_class": "Qwen3TTSProcessor"}))
    bpe = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(bpe["vocab"], ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{' '.join(pair)}\n" for pair in bpe["merges"]))
    return tokenizer.get_vocab()


def _write_talker(folder: Path, tokens: dict[str, int]) -> None:
    predictor = {**SMALL, "vocab_size": 2048, "num_key_value_heads": 1, "num_code_groups": 16, "rope_theta": 1e6}
    talker = {
        **predictor,
        "vocab_size": 3072,
        "num_hidden_layers": 2,
        "text_vocab_size": len(tokens),
        "text_hidden_size": 64,
        "rope_scaling": {"interleaved": True, "mrope_section": [4, 2, 2], "rope_type": "default"},
        "codec_pad_id": 2148,
        "codec_bos_id": 2149,
        "codec_eos_token_id": 2150,
        "codec_think_id": 2154,
        "codec_nothink_id": 2155,
        "codec_think_bos_id": 2156,
        "codec_think_eos_id": 2157,
        "spk_id": SPEAKERS,
        "spk_is_dialect": {name: DIALECTS.get(name, False) for name in SPEAKERS},
        "codec_language_id": LANGUAGES,
        "code_predictor_config": predictor,
    }
    config = {
        "talker_config": talker,
        "tokenizer_type": "qwen3_tts_tokenizer_12hz",
        "tts_model_size": "0b6",
        "tts_model_type": "custom_voice",
        "im_start_token_id": tokens["<|im_start|>"],
        "im_end_token_id": tokens["<|im_end|>"],
        "tts_pad_token_id": tokens["<tts_pad>"],
        "tts_bos_token_id": tokens["<tts_text_bos>"],
        "tts_eos_token_id": tokens["<tts_text_eod>"],
    }
    model = Qwen3TTSForConditionalGeneration(Qwen3TTSConfig(**json.loads(json.dumps(config))))
    with torch.no_grad():  # so that the end is never among the 50 likeliest
        model.talker.codec_head.weight[talker["codec_eos_token_id"]].zero_()
    _write(model, {"model_type": "qwen3_tts", **config}, folder)
    second = {f"subtalker_{name.replace('do_sample', 'dosample')}": value for name, value in SAMPLING.items()}
    generation = {**SAMPLING, **second, "repetition_penalty": 1.05, "max_new_tokens": 8192}
    (folder / "generation_config.json").write_text(json.dumps(generation))


def _write_codec(folder: Path) -> None:
    sizes = {**SMALL, "num_key_value_heads": 2, "codebook_size": 2048, "num_quantizers": 16}
    decoder = {
        **sizes,
        "codebook_dim": 32,
        "latent_dim": 32,
        "decoder_dim": 64,
        "sliding_window": 72,
        "upsample_rates": [8, 5, 4, 3],
        "upsampling_ratios": [2, 2],
        "max_position_embeddings": 8000,
        "vector_quantization_hidden_dimension": 16,
    }
    encoder = {
        **sizes,
        "model_type": "mimi",
        "rope_theta": 10_000.0,
        "upsample_groups": 32,
        "num_filters": 4,
        "codebook_dim": 16,
        "vector_quantization_hidden_dimension": 16,
        "num_semantic_quantizers": 1,
        "upsampling_ratios": [8, 6, 5, 4],
        "sampling_rate": 24_000,
    }
    model = Qwen3TTSTokenizerV2Model(Qwen3TTSTokenizerV2Config(encoder_config=encoder, decoder_config=decoder))
    with torch.no_grad():  # as they are made, the decoder's weights give no sound
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("embedding_sum"):
                tensor.normal_(0, 1)
            elif name.startswith("decoder.") and tensor.dim() == 3:
                tensor.normal_(0, 0.7 / (tensor.shape[1] * tensor.shape[2]) ** 0.5)
            if name == "decoder.decoder.6.conv.weight":  # the last one: as loud as speech
                tensor.mul_(30)
    rates = {"input_sample_rate": 24_000, "output_sample_rate": 24_000}
    frames = {"decode_upsample_rate": SAMPLES_PER_FRAME, "encode_downsample_rate": SAMPLES_PER_FRAME}
    config = {"encoder_config": encoder, "decoder_config": decoder, "encoder_valid_num_quantizers": 16}
    _write(model, {"model_type": "qwen3_tts_tokenizer_12hz", **config, **rates, **frames}, folder)
    extractor = {"feature_size": 1, "sampling_rate": 24_000, "padding_value": 0.0, "return_attention_mask": True}
    extractor["feature_extractor_type"] = "EncodecFeatureExtractor"
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
