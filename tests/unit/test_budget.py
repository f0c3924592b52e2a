"""What the stages need on a card, against published sizes; shares that fit, and words for those that do not."""

from __future__ import annotations

import json
import struct
import threading
from pathlib import Path
from typing import Any

import pynvml
import pytest
from support.cards import Present, nvml, raising
from support.paths import ROOT

from scripts import memory_table
from serve_app.config.lint import read
from serve_app.config.stack import StackArgs, VllmConfig
from serve_app.engines.stt import cublas12
from serve_app.errors import StackError
from serve_app.gpu import architectures, budget, cards
from serve_app.gpu.architectures import Decoder, Qwen3Tts
from serve_app.gpu.budget import GIB, need
from serve_app.gpu.card_plan import place, plan
from serve_app.gpu.cards import MIB, USABLE, Card, named, present_cards, present_count

MINISTRAL = "mistralai/Ministral-3-3B-Instruct-2512-BF16"
GEMMA = "RedHatAI/gemma-3-4b-it-quantized.w4a16"
QWEN = "Qwen/Qwen3-TTS-12Hz-0.6B-CustomVoice"


def stack(file: str) -> StackArgs:
    return read(ROOT / "configs" / file).args


def vllm(model: str = MINISTRAL, **more: Any) -> VllmConfig:
    return VllmConfig.model_validate({"engine": "vllm", "model": model, "num_gpus": 0.5, **more})


def llm_only(share: float, **more: Any) -> StackArgs:
    return StackArgs(llm=vllm(num_gpus=share, **more))


@pytest.mark.parametrize(
    ("model", "counted"),
    [
        ("openai/whisper-small", 241_734_912),
        ("openai/whisper-large-v3-turbo", 808_878_080),
        ("microsoft/mdeberta-v3-base", 278_813_189),
        (GEMMA, 3_880_263_168),
        (MINISTRAL, 3_429_006_336),
        ("hexgrad/Kokoro-82M", 81_810_022),
        (QWEN, 905_788_672),
    ],
)
def test_parameters_are_as_many_as_in_the_libraries_own_classes(model: str, counted: int) -> None:
    architecture = architectures.of(model)
    assert architecture is not None
    assert architecture.count() == counted


@pytest.mark.parametrize(
    ("model", "width", "published"),
    [
        (QWEN, 2, 1.81e9 + 682e6 / 2),  # model.safetensors; speech_tokenizer/model.safetensors is float32
        ("openai/whisper-small", 4, 967e6),
        ("hexgrad/Kokoro-82M", 4, 327e6),
    ],
)
def test_weights_are_as_large_as_the_published_files(model: str, width: int, published: float) -> None:
    architecture = architectures.of(model)
    assert architecture is not None
    assert architecture.weight_bytes(width) == pytest.approx(published, rel=0.01)


def test_four_bit_weights_keep_the_embedding_in_bfloat16() -> None:
    gemma, full = architectures.of(GEMMA), architectures.of("google/gemma-3-4b-it")
    assert isinstance(gemma, Decoder)
    assert isinstance(full, Decoder)
    saved = full.weight_bytes(2) - gemma.weight_bytes(2)
    assert saved == pytest.approx(gemma.linear() * (2 - 0.5 - 2 / 128))
    assert gemma.weight_bytes(2) > 2 * gemma.vocab * gemma.hidden


@pytest.mark.parametrize(("model", "size"), [(MINISTRAL, 106_496), (GEMMA, 143_360)])
def test_the_cache_of_one_token(model: str, size: int) -> None:
    needed = need(vllm(model))
    assert needed is not None
    assert needed.kv_bytes_per_token == size
    assert needed.kv_least == size * 4096


def test_four_bit_weights_take_what_was_seen_on_a_card() -> None:
    needed = need(vllm(GEMMA))
    assert needed is not None
    assert needed.weights / GIB == pytest.approx(3.39, rel=0.01)


@pytest.mark.parametrize(("total_gib", "seen_gib"), [(24, 0.5), (40, 0.85), (141, 0.85)])
def test_a_large_cards_context_is_as_large_as_was_seen(total_gib: int, seen_gib: float) -> None:
    needed = need(vllm(), card=Card("a card", total_gib * GIB))
    assert needed is not None
    assert needed.context / GIB == pytest.approx(seen_gib, rel=0.01)


def test_the_predictor_of_a_wider_talker_has_a_projection() -> None:
    small = architectures.of(QWEN)
    assert isinstance(small, Qwen3Tts)
    large = small.model_copy(update={"hidden": 2048, "ffn": 6144})  # the 1.7B's talker
    assert large.count() == 1_916_676_352


@pytest.mark.parametrize("file", memory_table.MEANT_FOR)
def test_each_stack_fits_each_of_its_cards_with_room_for_the_contexts(file: str) -> None:
    args = read(ROOT / file).args
    for name in memory_table.MEANT_FOR[file]:
        made = plan(args, named(name))
        assert made.error() is None
        assert made.unshared >= cards.context_bytes(named(name).total_bytes) * (len(made.rows) - 1)
        llm = next(row for row in made.rows if row.stage == "llm")
        assert llm.conversations >= 8


def test_the_document_is_up_to_date() -> None:
    document = memory_table.DOCUMENT.read_text("utf-8")
    assert memory_table.written(document) == document


def test_a_stage_on_the_cpu_needs_nothing_of_a_card() -> None:
    for file in ("cpu_stack.yaml", "laptop_stack.yaml"):
        assert all(need(config) == budget.NOTHING for config in stack(file).stages().values())
    assert need(vllm(device="cpu")) == budget.NOTHING
    assert plan(stack("cpu_stack.yaml"), named("L4")).rows == ()


def test_larger_batches_need_more_and_less_precise_weights_less() -> None:
    def of(stage: str, **more: Any) -> int:
        given = {name: config.model_dump() for name, config in stack("local_stack.yaml").stages().items()}
        needed = need(StackArgs.model_validate({stage: {**given[stage], **more}}).stages()[stage])
        assert needed is not None
        return needed.fixed

    assert of("stt", max_batch=1) < of("stt") < of("stt", max_batch=16)
    assert of("cefr", dtype="bfloat16") < of("cefr")
    assert of("llm", cuda_graphs=False) < of("llm")


def test_a_share_too_small_is_refused_with_its_numbers_and_one_that_would_do() -> None:
    made = plan(llm_only(0.3), named("L4"))
    assert not made.fits
    assert made.error() == (
        "llm needs 8.23 GiB (weights 6.39, workspace 0.94, context 0.50, cache of 4096 tokens 0.41) and its share is "
        "6.58 GiB; on one L4 these num_gpus would fit: llm 1."
    )


def test_shares_that_are_suggested_fit() -> None:
    args = stack("modal_stack.yaml")
    small = {name: {**config.model_dump(), "num_gpus": 0.1} for name, config in args.stages().items()}
    shares = plan(StackArgs.model_validate(small), named("L4")).suggest()
    assert shares is not None
    assert sum(shares.values()) <= 1
    better = {name: {**config, "num_gpus": shares[name]} for name, config in small.items()}
    assert plan(StackArgs.model_validate(better), named("L4")).error() is None


def test_no_shares_are_suggested_where_none_fit() -> None:
    made = plan(stack("modal_stack.yaml"), Card("GTX 1070", 8192 * MIB))
    assert made.suggest() is None
    error = made.error()
    assert error is not None
    assert "no shares of one GTX 1070 would fit: the stages need 15.12 GiB and it has 7.80 GiB" in error


def test_shares_over_the_card_are_told_before_their_sizes() -> None:
    args = StackArgs.model_validate(
        {
            "stt": {"engine": "transformers", "model": "openai/whisper-small", "num_gpus": 0.6},
            "llm": vllm(num_gpus=0.6).model_dump(),
        }
    )
    error = plan(args, named("L4")).error()
    assert error is not None
    assert error.startswith("the stages share 1.2 cards (stt 0.6, llm 0.6) and there is 1 L4; on one L4 these num_gpus")
    assert plan(args, named("L4"), 2).fits


def test_a_model_nobody_knows_is_left_unjudged() -> None:
    made = plan(llm_only(0.1, model="someone/something"), named("L4"))
    assert made.fits
    assert made.table()[0][4:] == ["?"] * 6
    assert made.suggest() is None


@pytest.mark.parametrize(
    ("shares", "cards", "fits"),
    [
        ([0.6, 0.6, 0.6], 2, False),
        ([0.6, 0.6, 0.4, 0.4], 2, True),
        ([0.5, 0.3, 0.3, 0.5, 0.4], 2, True),
        ([1, 0.5], 1, False),
        ([2, 0.5, 0.5], 3, True),
        ([2, 0.5, 0.6], 3, False),
        ([0.05, 0.55, 0.3, 0.1], 1, True),
        ([0.1], 0, False),
        ([], 0, True),
    ],
)
def test_shares_are_placed_on_cards(shares: list[float], cards: int, fits: bool) -> None:
    stages = {str(i): share for i, share in enumerate(shares)}
    placed = place(stages, cards)
    assert (placed is not None) == fits
    for on_one in placed or ():
        assert sum(min(stages[stage], 1) for stage in on_one) <= 1 + 1e-6


def test_the_cache_is_what_the_share_leaves() -> None:
    needed = need(vllm())
    assert needed is not None
    card = named("L4").usable_bytes
    assert budget.kv_cache_bytes(needed, card, 0.5) == card // 2 - needed.fixed
    with pytest.raises(StackError, match=r"llm needs 8\.23 GiB .* its share is 6\.58 GiB; num_gpus 0\.38 would fit"):
        budget.kv_cache_bytes(needed, card, 0.3)
    with pytest.raises(StackError, match="a larger card is needed"):
        budget.kv_cache_bytes(needed, 8 * GIB, 1)


def test_a_cache_of_its_own_size_must_fit_too() -> None:
    assert budget.kv_cache(vllm(kv_cache_gib=2), ROOT) == 2 * GIB
    assert plan(llm_only(0.5, kv_cache_gib=2), named("L4")).rows[0].conversations == 4
    error = plan(llm_only(0.5, kv_cache_gib=4), named("L4")).error()
    assert error is not None
    assert "cache of 40330 tokens 4.00" in error


def test_on_a_cpu_the_engine_sizes_its_own_cache() -> None:
    assert budget.kv_cache(vllm(device="cpu"), ROOT) is None


def checkpoint(folder: Path, config: dict[str, Any], **files: dict[str, tuple[str, list[int]]]) -> Path:
    """A model's folder as far as the budget reads it: config.json and the headers of its safetensors."""
    (folder / "config.json").write_text(json.dumps(config))
    for name, tensors in files.items():
        header = json.dumps({tensor: {"dtype": dtype, "shape": shape} for tensor, (dtype, shape) in tensors.items()})
        (folder / f"{name}.safetensors").write_bytes(struct.pack("<Q", len(header)) + header.encode())
    return folder


GEMMA_CONFIG = {
    "model_type": "gemma3",
    "quantization_config": {"quant_method": "compressed-tensors"},
    "text_config": {
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_hidden_layers": 34,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 262208,
    },
}


def test_a_model_in_a_folder_is_counted_in_its_files(tmp_path: Path) -> None:
    folder = checkpoint(
        tmp_path,
        GEMMA_CONFIG,
        model={
            "language_model.model.embed_tokens.weight": ("F32", [262208, 2560]),
            "language_model.model.layers.0.mlp.up_proj.weight_packed": ("I32", [10240, 320]),
            "vision_tower.vision_model.embeddings.weight": ("BF16", [1000, 1000]),
        },
        consolidated={"output.weight": ("BF16", [262208, 2560])},
    )
    gemma = architectures.of(GEMMA)
    assert isinstance(gemma, Decoder)
    kept_beside = int(gemma.quantised_bytes() * budget.VLLM_FOUR_BIT)
    for needed in (need(vllm(str(folder))), need(vllm("someone/something"), folder)):
        assert needed is not None
        assert needed.weights == 262208 * 2560 * 2 + 10240 * 320 * 4 + kept_beside
        assert needed.kv_bytes_per_token == 143_360


def test_a_folder_of_mistrals_own_format_is_understood(tmp_path: Path) -> None:
    params = {"dim": 3072, "n_layers": 26, "head_dim": 128, "hidden_dim": 9216, "n_heads": 32, "n_kv_heads": 8}
    (tmp_path / "params.json").write_text(json.dumps({**params, "vocab_size": 131072, "tied_embeddings": True}))
    assert need(vllm("a/b"), tmp_path) == need(vllm(MINISTRAL))


@pytest.mark.parametrize("config", ["{", "[]", '{"model_type": "whisper"}', '{"num_key_value_heads": 4}'])
def test_a_folder_that_says_nothing_known_is_left_unjudged(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    assert need(vllm("a/b"), tmp_path) is None


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        ("L4", "L4"),
        ("a10g", "A10G"),
        ("A100", "A100-40GB"),
        ("a100-80gb", "A100-80GB"),
        ("rtx4090", "RTX 4090"),
        ("3090", "RTX 3090"),
        ("NVIDIA GeForce RTX 3090", "RTX 3090"),
        ("H100", "H100"),
    ],
)
def test_a_card_is_known_however_it_is_spelt(spelt: str, name: str) -> None:
    assert named(spelt).name == name


@pytest.mark.parametrize(("name", "hint"), [("L44", "did you mean 'L4'?"), ("toaster", "known: L4, A10G")])
def test_an_unknown_card_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(StackError) as refused:
        named(name)
    assert hint in refused.value.message


TWO = [
    Present("NVIDIA GeForce RTX 4090", 24564 * MIB, "GPU-5ad1"),
    Present("NVIDIA H100, PCIe", 81559 * MIB, "GPU-77fe"),
]


def test_the_present_cards_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml(monkeypatch, Present("NVIDIA L4", 23034 * MIB))
    assert present_cards() == [Card("NVIDIA L4", 23034 * MIB, "580.65.06")]
    needed = need(vllm())
    assert needed is not None
    assert budget.kv_cache(vllm(), ROOT) == budget.kv_cache_bytes(needed, named("L4").usable_bytes, 0.5)


@pytest.mark.parametrize(
    ("devices", "left"),
    [
        (None, [0, 1]),
        ("", [0, 1]),
        ("1", [1]),
        ("1,0", [1, 0]),
        ("7", []),
        ("GPU-77fe", [1]),
        ("GPU-5ad1, GPU-77fe", [0, 1]),
        ("GPU-5a", [0, 1]),
    ],
)
def test_only_visible_cards_count(devices: str | None, left: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    nvml(monkeypatch, *TWO)
    if devices is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
    assert [card.name for card in present_cards()] == [TWO[number].name for number in left]
    assert present_count() == len(left)


def test_a_card_that_reports_no_memory_counts_but_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml(monkeypatch, Present("NVIDIA GB10", None), TWO[0])
    assert present_count() == 2
    assert [card.name for card in present_cards()] == [TWO[0].name]


def test_the_smallest_card_is_what_a_share_is_measured_on(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml(monkeypatch, *reversed(TWO))
    assert cublas12.card_bytes() == int(24564 * MIB * USABLE)


def test_a_driver_that_fails_has_no_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml(monkeypatch)
    assert present_cards() == []
    nvml(monkeypatch, *TWO)
    lost = pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", raising(lost))
    assert present_cards() == []
    assert budget.kv_cache(vllm(), ROOT) is None


def test_a_driver_that_does_not_answer_has_no_cards_and_does_not_hold_up_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nvml(monkeypatch, *TWO)
    monkeypatch.setattr(cards, "NVML_S", 0.2)
    answering = threading.Event()
    monkeypatch.setattr(pynvml, "nvmlSystemGetDriverVersion", answering.wait)
    assert present_cards() == []  # though it never answers
    answering.set()
    for thread in threading.enumerate():  # the late answer comes before pynvml is itself again
        if thread.name == "nvml":
            thread.join(30)
