"""The models of the CPU stack through their own libraries, as a script would use them: both cores, usual settings.

Imports nothing of Parle: pipecat needs an environment of its own.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from typing import Any

CORES = len(os.sched_getaffinity(0))
CONTEXT_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class Settings:
    """What the ways have in common. Paths as text, since all of it travels as JSON."""

    whisper: str
    llm: str
    kokoro: str
    voices: str
    """An archive of numpy with one array for each voice."""
    voice: str
    prompt: list[dict[str, str]]
    """The messages before the conversation: the tutor's system prompt and its examples."""
    sampling: dict[str, Any]
    """Fields of a chat completion, the longest reply included."""


def llama(settings: Settings) -> tuple[Any, str]:
    """llama.cpp's server with one slot, and the key for its HTTP port on the loopback address."""
    import xllamacpp

    params = xllamacpp.CommonParams()  # pyright: ignore[reportAttributeAccessIssue] - a binary module without stubs
    params.model.path = settings.llm
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    params.cpuparams.n_threads = CORES
    params.cpuparams_batch.n_threads = CORES
    params.verbosity = -1
    params.ui = False
    key = secrets.token_hex(16)
    params.api_keys = [key]
    return xllamacpp.Server(params), key  # pyright: ignore[reportAttributeAccessIssue]
