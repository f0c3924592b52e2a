"""A Qwen3-TTS 0.6B CustomVoice checkpoint of the real size with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from gpu_engines import tiny_qwen3_tts as tiny_model
from gpu_engines.tiny_qwen3_tts import (
    DIALECTS,
    LANGUAGES,
    SAMPLING,
    SPEAKERS,
    Qwen3TTSConfig,
    Qwen3TTSForConditionalGeneration,
    Qwen3TTSTokenizerV2Config,
    Qwen3TTSTokenizerV2Model,
)

DECODER = {
    **{"codebook_dim": 512, "codebook_size": 2048, "decoder_dim": 1536, "hidden_size": 512, "intermediate_size": 1024},
    **{"latent_dim": 1024, "head_dim": 64, "num_attention_heads": 16, "num_key_value_heads": 16},
    **{"num_hidden_layers": 8, "num_quantizers": 16, "sliding_window": 72, "max_position_embeddings": 8000},
    **{"upsample_rates": [8, 5, 4, 3], "upsampling_ratios": [2, 2], "layer_scale_initial_scale": 0.01},
    "vector_quantization_hidden_dimension": 512,
}
ENCODER = {
    **{"model_type": "mimi", "hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8},
    **{"num_key_value_heads": 8, "head_dim": 64, "num_hidden_layers": 8, "codebook_size": 2048, "codebook_dim": 256},
    **{"num_quantizers": 32, "num_semantic_quantizers": 1, "vector_quantization_hidden_dimension": 256},
    **{"upsampling_ratios": [8, 6, 5, 4], "sampling_rate": 24_000, "num_filters": 64, "upsample_groups": 512},
    "rope_theta": 10_000.0,
}
PREDICTOR = {
    **{"hidden_size": 1024, "intermediate_size": 3072, "num_attention_heads": 16, "num_key_value_heads": 8},
    **{"head_dim": 128, "num_hidden_layers": 5, "vocab_size": 2048, "num_code_groups": 16, "rope_theta": 1e6},
    "max_position_embeddings": 65_536,
}
LOUDNESS = 0.1
"""Root mean square of the speech: the engine takes less for silence."""


def make(folder: Path, tiny: bool, device: str) -> None:
    """Write talker, codec and tokenizer. The talker never ends by itself."""
    if tiny:
        tiny_model.make(folder)
        return
    torch.manual_seed(0)
    (folder / "speech_tokenizer").mkdir(parents=True)
    _write_talker(folder, tiny_model._write_tokenizer(folder), device)
    _write_codec(folder / "speech_tokenizer", device)


def _write_talker(folder: Path, tokens: dict[str, int], device: str) -> None:
    rope = {"interleaved": True, "mrope_section": [24, 20, 20], "rope_type": "default"}
    talker: dict[str, Any] = {
        **PREDICTOR,
        **{"vocab_size": 3072, "num_hidden_layers": 28, "text_vocab_size": 151_936, "text_hidden_size": 2048},
        **{"max_position_embeddings": 32_768, "rope_scaling": rope, "spk_id": SPEAKERS},
        **{"codec_pad_id": 2148, "codec_bos_id": 2149, "codec_eos_token_id": 2150, "codec_think_id": 2154},
        **{"codec_nothink_id": 2155, "codec_think_bos_id": 2156, "codec_think_eos_id": 2157},
        "spk_is_dialect": {name: DIALECTS.get(name, False) for name in SPEAKERS},
        "codec_language_id": LANGUAGES,
        "code_predictor_config": PREDICTOR,
    }
    config = {
        **{"talker_config": talker, "tokenizer_type": "qwen3_tts_tokenizer_12hz"},
        **{"tts_model_size": "0b6", "tts_model_type": "custom_voice"},
        **{"im_start_token_id": tokens["<|im_start|>"], "im_end_token_id": tokens["<|im_end|>"]},
        **{"tts_pad_token_id": tokens["<tts_pad>"], "tts_bos_token_id": tokens["<tts_text_bos>"]},
        "tts_eos_token_id": tokens["<tts_text_eod>"],
    }
    with torch.device(device):
        model = Qwen3TTSForConditionalGeneration(Qwen3TTSConfig(**json.loads(json.dumps(config))))
    with torch.no_grad():
        model.talker.codec_head.weight[talker["codec_eos_token_id"]].zero_()
    tiny_model._write(model.bfloat16().cpu(), {"model_type": "qwen3_tts", **config}, folder)
    second = {f"subtalker_{name.replace('do_sample', 'dosample')}": value for name, value in SAMPLING.items()}
    generation = {**SAMPLING, **second, "repetition_penalty": 1.05, "max_new_tokens": 8192}
    (folder / "generation_config.json").write_text(json.dumps(generation))


def _write_codec(folder: Path, device: str) -> None:
    with torch.device(device):
        model = Qwen3TTSTokenizerV2Model(Qwen3TTSTokenizerV2Config(encoder_config=ENCODER, decoder_config=DECODER))
    model.eval()
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("embedding_sum"):
                tensor.normal_(0, 1)
            elif name.startswith("decoder.") and tensor.dim() == 3:
                tensor.normal_(0, 0.7 / (tensor.shape[1] * tensor.shape[2]) ** 0.5)
        wave = model.decoder(torch.randint(0, 2048, (1, 16, 12), device=device)).float()
        last = dict(model.named_parameters())["decoder.decoder.6.conv.weight"]
        last.mul_(LOUDNESS / max(float(wave.pow(2).mean().sqrt()), 1e-9))
    rates = {"input_sample_rate": 24_000, "output_sample_rate": 24_000}
    frames = {"decode_upsample_rate": 1920, "encode_downsample_rate": 1920}
    config = {"encoder_config": ENCODER, "decoder_config": DECODER, "encoder_valid_num_quantizers": 16}
    tiny_model._write(model.cpu(), {"model_type": "qwen3_tts_tokenizer_12hz", **config, **rates, **frames}, folder)
    extractor = {"feature_size": 1, "sampling_rate": 24_000, "padding_value": 0.0, "return_attention_mask": True}
    extractor["feature_extractor_type"] = "EncodecFeatureExtractor"
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
