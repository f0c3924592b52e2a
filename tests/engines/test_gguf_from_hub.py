"""A GGUF file downloaded from a hub by its name in the YAML, loaded by llama.cpp, and asked for a word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.fake_hub import Hub
from support.paths import ROOT

from serve_app.weights.model_names import resolve

WRITE_A_WORD = """
import asyncio
from serve_app.config.stack import (LlamaCppConfig)
from serve_app.llm import build_engine
from serve_app.protocols import Sampling, TextDelta
from serve_app.weights.sources import fetched

async def reply(engine):
    async for item in engine.stream([{"role": "user", "content": "Olá!"}], Sampling(temperature=0, max_tokens=4)):
        if isinstance(item, TextDelta):
            print(item.text, end="")

config = LlamaCppConfig(
    engine="llama-cpp", model="gguf/gemma:gemma.gguf", context_tokens=512, slots=1, chat_template="transcript"
)
asyncio.run(reply(build_engine(config, fetched(config))))
"""


def test_a_gguf_file_named_in_the_yaml_is_downloaded_and_speaks(tmp_path: Path) -> None:
    hub = Hub({"gguf/gemma": {"gemma.gguf": resolve("wheel:gemma-3-270m"), "gemma-BF16.gguf": b"not this one"}})
    own = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "PARLE_CACHE": str(tmp_path / "parle"),
        "PYTHONPATH": str(ROOT),
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    try:
        said = subprocess.run(
            [sys.executable, "-c", WRITE_A_WORD],
            env={**inherited, **own},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    finally:
        hub.close()
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip(), said.stderr
    assert not any("BF16" in path for path in hub.asked)
