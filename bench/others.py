"""Other ways to answer than the server, each in a process of its own, its models loaded and warm."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import yaml

from serve_app.config.limits import Limits
from serve_app.engines.tts.kokoro_voices import load_style
from serve_app.lesson import tutor_prompt
from serve_app.protocols import Sampling
from serve_app.weights.model_names import cache_folder, resolve

from . import plain
from .recordings import VOICES
from .server import STACK, Heard

ROOT = Path(__file__).parent.parent
PEER_PYTHON = ROOT / ".venv-peer/bin/python"
"""Made by `make bench`. pipecat wants an older protobuf than Ray."""


def settings() -> plain.Settings:
    """The weights, prompt, sampling, reply limit and voice of the CPU stack."""
    application = yaml.safe_load(STACK.read_text("utf-8"))["applications"][0]
    args = application["args"]
    users = {deployment["name"]: deployment["user_config"] for deployment in application["deployments"]}
    voice = users["TextToSpeech"]["voice"]
    voices = cache_folder() / f"bench/{voice}.npz"
    voices.parent.mkdir(parents=True, exist_ok=True)
    np.savez(voices, allow_pickle=False, **{voice: load_style(VOICES / f"{voice}.bin")})
    prompt = tutor_prompt.default_prompt()
    examples = [
        {"role": role, "content": text}  # without the level, which only Parle knows
        for example in prompt.examples
        for role, text in (("user", example.learner), ("assistant", example.tutor))
    ]
    sampling = Sampling(**users["TutorLLM"]["sampling"])
    return plain.Settings(
        whisper=str(resolve(args["stt"]["model"])),
        llm=str(resolve(args["llm"]["model"])),
        kokoro=str(resolve(args["tts"]["model"])),
        voices=str(voices),
        voice=voice,
        prompt=[{"role": "system", "content": prompt.system}, *examples],
        sampling={
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "repeat_penalty": sampling.repeat_penalty,
            "stop": list(sampling.stop),
            "max_tokens": Limits().reply_tokens,
            "seed": 1,
        },
    )


class Other:
    """Asks another process for one turn after the other; see bench/asked.py."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    async def turn(self, recording: bytes) -> Heard:
        return await asyncio.to_thread(self.ask, recording)

    def ask(self, recording: bytes) -> Heard:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"%d\n" % len(recording) + recording)
        self._process.stdin.flush()
        return Heard(**json.loads(self._process.stdout.readline()))


@contextmanager
def started(
    module: str, shared: plain.Settings, warm_up: bytes, python: str | Path = sys.executable
) -> Iterator[Other]:
    """The process of `bench.MODULE`, after a turn that it has forgotten; it ends with the block."""
    command: Sequence[str] = [str(python), "-m", f"bench.{module}", json.dumps(asdict(shared))]
    # As a script finds it: the server's choice that OpenMP's threads do not spin costs whoever has both cores.
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment["OMP_NUM_THREADS"] = str(plain.CORES)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=environment)
    try:
        other = Other(process)
        other.ask(warm_up)
        yield other
    finally:
        process.kill()
        process.wait()
