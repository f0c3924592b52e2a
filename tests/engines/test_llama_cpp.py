"""What only llama.cpp can do wrong: its callback, and the file it loads."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from serve_app.engines.cancel_scope import CancelScope
from serve_app.engines.llm.llama_cpp import LlamaCpp, _request
from serve_app.errors import StackError, StageFailed
from serve_app.protocols import Message, Sampling, TextDelta
from serve_app.weights.model_names import resolve

QUESTION: list[Message] = [{"role": "user", "content": "Oi."}]
SHORT = Sampling(temperature=0, max_tokens=8)


@pytest.mark.parametrize("kind", [LookupError, StopIteration])
async def test_a_fault_between_llama_cpp_and_the_reader_is_an_error_and_not_a_shorter_reply(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    """The library drops what its callback raises, and its reply just ends there."""

    def put(chunk: object) -> None:
        raise kind("lost")

    engine = LlamaCpp(resolve("wheel:gemma-3-270m"), context_tokens=256)
    with pytest.raises(StageFailed, match="failed: lost"):
        await asyncio.to_thread(engine._generate, _request(QUESTION, SHORT), CancelScope(), put)
    assert "llama.cpp refused a request or failed" in caplog.messages
    assert kind.__name__ in caplog.text
    assert any([isinstance(item, TextDelta) async for item in engine.stream(QUESTION, SHORT)])


@pytest.mark.parametrize("text", ["\ud800", object()])
async def test_a_request_that_the_library_cannot_read_is_refused_and_logged(
    text: Any, caplog: pytest.LogCaptureFixture
) -> None:
    engine = LlamaCpp(resolve("wheel:gemma-3-270m"), context_tokens=256)
    with pytest.raises(StageFailed, match="The tutor's model failed: "):
        await anext(engine.stream([{"role": "user", "content": text}], SHORT))
    assert "llama.cpp refused a request or failed" in caplog.messages
    assert any([isinstance(item, TextDelta) async for item in engine.stream(QUESTION, SHORT)])


def test_a_file_that_is_no_model_is_refused_by_name(tmp_path: Path) -> None:
    wrong = tmp_path / "model.gguf"
    with pytest.raises(StackError, match=r"model\.gguf"):
        LlamaCpp(wrong)
    wrong.write_bytes(b"not a model")
    with pytest.raises(StackError, match=r"model\.gguf"):
        LlamaCpp(wrong)
