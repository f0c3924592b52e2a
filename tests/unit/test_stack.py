"""The typed arguments of a stack: what they take, what they refuse, and the words they refuse it with."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from serve_app.config.stack import ENGINES, StackArgs
from serve_app.config.strict import explain
from serve_app.config.user_config import SETTINGS, settings
from serve_app.errors import StackError


def refusal(args: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as refused:
        StackArgs.model_validate(args)
    return explain(refused.value)


def test_no_arguments_are_the_cpu_stack_without_levels() -> None:
    args = StackArgs()
    assert [(name, config.engine) for name, config in args.stages().items()] == [
        ("stt", "faster-whisper"),
        ("llm", "llama-cpp"),
        ("tts", "kokoro-onnx"),
    ]
    assert args.gpus() == 0


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"rotes": ["sse"]}, "unknown key 'rotes'; did you mean 'routes'?"),
        ({"stt": {"engine": "faster-whisper", "modle": "x"}}, "unknown key 'modle'; did you mean 'model'?"),
        ({"limits": {"max_audio": 3}}, "unknown key 'max_audio'; did you mean 'max_audio_s'?"),
        ({"llm": {"engine": "lama-cpp"}}, "llm: unknown engine 'lama-cpp'; did you mean 'llama-cpp'?"),
        ({"tts": {"engine": "espeak"}}, "tts: unknown engine 'espeak'; known: kokoro-onnx, kokoro, qwen3-tts."),
        ({"routes": ["see"]}, "unknown route 'see'; did you mean 'sse'?"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(args: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(args)


@pytest.mark.parametrize(
    "args",
    [
        {"routes": []},
        {"stt": {"engine": "faster-whisper", "threads": 0}},
        {"stt": {"engine": "transformers", "model": "openai/whisper-small", "num_gpus": -0.1}},
        {"stt": {"engine": "transformers", "model": "openai/whisper-small"}},
        {"limits": {"max_turns": 0}},
    ],
    ids=["no route", "no thread", "negative share", "no share", "no turns"],
)
def test_a_value_that_means_nothing_is_refused(args: dict[str, Any]) -> None:
    assert refusal(args)


@pytest.mark.parametrize(("context", "most"), [(4096, 2400), (2048, 1702), (512, 256)])
def test_the_history_leaves_room_in_the_context_for_an_utterance_and_the_reply(context: int, most: int) -> None:
    args = StackArgs.model_validate({"llm": {"engine": "llama-cpp", "context_tokens": context}})
    assert args.limits.fitting(args.llm.context_tokens).history_tokens == most


def test_a_history_that_does_not_fit_the_context_is_refused() -> None:
    args = {"llm": {"engine": "llama-cpp", "context_tokens": 2048}, "limits": {"history_tokens": 1800}}
    assert "limits.history_tokens: 1800 do not fit llm.context_tokens: 2048" in refusal(args)
    assert "at most 1702" in refusal(args)


def test_every_engine_of_the_table_has_a_config() -> None:
    for stage, engines in ENGINES.items():
        for engine in engines:
            args = StackArgs.model_validate({stage: {"engine": engine, **_model(engine), **_share(engine)}})
            assert args.stages()[stage].engine == engine


def _model(engine: str) -> dict[str, str]:
    return {} if engine == "lexical" else {"model": "organisation/name"}


def _share(engine: str) -> dict[str, float]:
    return {} if engine in ("lexical", "llama-cpp", "kokoro-onnx", "faster-whisper") else {"num_gpus": 0.5}


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (
            {"llm": {"engine": "vllm", "model": "a/b", "num_gpus": 0}},
            "this engine needs a share of a card, for example 0.2",
        ),
        ({"llm": {"engine": "vllm", "model": "a/b", "num_gpus": 1.5}}, "several cards must be a whole number"),
        ({"llm": {"engine": "llama-cpp", "num_gpus": 0.5}}, "should be 0"),
    ],
    ids=["no share", "no whole card", "an engine of the CPU"],
)
def test_a_share_that_nothing_can_use_is_refused(args: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(args)


def test_the_shares_of_the_card_are_summed() -> None:
    args = StackArgs.model_validate(
        {
            "stt": {"engine": "transformers", "model": "a/b", "num_gpus": 0.2},
            "llm": {"engine": "vllm", "model": "a/b", "num_gpus": 0.55},
            "tts": {"engine": "qwen3-tts", "model": "a/b", "num_gpus": 0.25},
        }
    )
    assert args.gpus() == pytest.approx(1.0)


@pytest.mark.parametrize("deployment", SETTINGS)
def test_every_deployment_takes_no_user_config_and_refuses_an_unknown_key(deployment: str) -> None:
    assert settings(SETTINGS[deployment], None) == settings(SETTINGS[deployment], {})
    with pytest.raises(StackError, match="user_config: unknown key 'nothing'"):
        settings(SETTINGS[deployment], {"nothing": 1})
