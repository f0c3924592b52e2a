"""A whole stack behind `parle serve` on a card: start, a turn on each route, 1 to 16 learners, kill and recovery."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from . import gpu_mps
from .gpu_part import Part, engine_wanted, has
from .gpu_sharing import TALKERS, summary

CONFIGS = Path(__file__).parent.parent / "configs"
MODELS: Mapping[str, Mapping[str, str]] = {
    "modal": {"stt": "turbo", "llm": "ministral", "tts": "qwen3"},
    "local": {"stt": "small", "cefr": "cefr", "llm": "ministral", "tts": "kokoro"},
}
"""The checkpoint of each stage where the hub is away; Ministral takes the place of Gemma too."""
LLM_ONLY = {"openings": False, "recast": False, "questions": False, "follow_ups": False, "correction": "none"}
"""The LLM writes the whole reply, so that first audio is heard after all three stages."""
STAGES = {
    "SpeechToText": "stt",
    "CefrClassifier": "cefr",
    "TutorLLM": "llm",
    "TextToSpeech": "tts",
    "Ingress": "ingress",
}
THINK_S = 1.0
RECORDING_S = 5.0
KILL_S = 40.0
"""Kept for a stage that is killed and comes back."""


def stack_file(stack: str, part: Part, sharing: str, folder: Path) -> Path:
    """The stack's YAML with local checkpoints, all routes, and the LLM writing all of the reply."""
    from serve_app.config.stack import StackArgs

    made = yaml.safe_load((CONFIGS / f"{stack}_stack.yaml").read_text("utf-8"))
    [application] = made["applications"]
    args = application["args"]
    args["routes"] = ["sse", "websocket", "web"]
    if not has("vllm"):
        args["llm"] = {"engine": "llama-cpp"} | ({"model": gguf} if (gguf := os.environ.get("PARLE_GPU_GGUF")) else {})
    for stage, model in MODELS[stack].items():
        if args[stage]["engine"] == "llama-cpp":
            continue
        if (part.models / model).exists():
            args[stage]["model"] = str(part.models / model)
            if stage == "llm":
                args[stage]["format"] = "mistral"
                args[stage]["num_gpus"] = 0.5
        if part.tiny:
            args[stage]["device"] = "cpu"
            args[stage] |= {"dtype": "float32"} if args[stage]["engine"] == "qwen3-tts" else {}
            args[stage] |= {"context_tokens": 1024, "cuda_graphs": False} if stage == "llm" else {}
    if "gpu" in StackArgs.model_fields:  # older versions leave it to the driver
        args["gpu"] = {"sharing": sharing}
    for deployment in application["deployments"]:
        more = {"TextToSpeech": {"openings_ahead": False}, "Ingress": {"teaching": LLM_ONLY}}.get(deployment["name"])
        deployment["user_config"] |= more or {}
    path = folder / f"{stack}.yaml"
    path.write_text(yaml.safe_dump(made, allow_unicode=True), "utf-8")
    return path


def recording() -> bytes:
    from serve_app.audio import wav

    from .gpu_work import speech

    return wav(speech(RECORDING_S), 16_000)


def _replicas(server: int) -> dict[int, str]:
    """The processes that may use the card, by their stage."""
    found = {}
    for process in psutil.Process(server).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            title = " ".join(process.cmdline())
            if "ServeReplica:parle:" in title:
                found[process.pid] = STAGES.get(title.split("ServeReplica:parle:")[1].split("#")[0].strip(), title[:40])
            elif "EngineCore" in title:
                found[process.pid] = "vllm"
    return found


@contextlib.contextmanager
def _serving(stack: str, part: Part, sharing: str) -> Iterator[tuple[int, str]]:
    from serve_app.launch import child_process

    # `parle` may not be on the PATH of a borrowed machine.
    child_process.command = lambda path, *more: [sys.executable, "-m", "serve_app.cli", "serve", str(path), *more]
    with tempfile.TemporaryDirectory() as folder:
        path, log = stack_file(stack, part, sharing, Path(folder)), part.folder / f"{part.name}.log"
        began = time.perf_counter()
        limit_s = max(30.0, 0.7 * part.left_s())
        with child_process.serving(path, log, ready_s=limit_s, stop_s=12) as (server, url):
            part.row(what="ready", sharing=sharing, seconds=round(time.perf_counter() - began, 1))
            yield server.pid, url


def _turn(url: str, audio: bytes, session: str) -> dict[str, float]:
    from .server import turn

    heard = turn(url, audio, session)
    stages = {f"{name}_ms": float(value) for name, value in heard.timing.items() if isinstance(value, int | float)}
    first_token = 1000 * heard.llm_first_token_s
    return {
        "first_audio_ms": 1000 * heard.first_audio_s,
        "total_ms": 1000 * heard.total_s,
        "token_ms": first_token,
    } | stages


def _tried(part: Part, what: str, work: Callable[[], Any], **more: Any) -> Any:
    """What the work gives, or None; then the error is a row."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - any failure is a finding, and the next measurement may work
        part.row(what=what, error=f"{type(error).__name__}: {str(error)[:300]}", **more)
        return None


def _routes(part: Part, url: str, audio: bytes) -> None:
    from serve_app import client
    from serve_app.access.tokens import own_headers

    for number in range(6):
        found = _tried(part, "turn", lambda: _turn(url, audio, "one"), route="sse", number=number + 1)
        if found:
            part.row(what="turn", route="sse", number=number + 1, **found)
    question = part.folder / "question.wav"
    question.write_bytes(audio)
    for number in range(2):

        def over_websocket() -> dict[str, Any]:
            events = list(client.over_websocket(url, question, {"session_id": "two"}, own_headers()))
            first = next((event.ms for event in events if event.name == "audio"), None)
            return {"first_audio_ms": first, "total_ms": events[-1].ms, "last": events[-1].name}

        found = _tried(part, "turn", over_websocket, route="websocket", number=number + 1)
        if found:
            part.row(what="turn", route="websocket", number=number + 1, **found)
    page = _tried(part, "turn", lambda: httpx.get(url, timeout=10), route="web")
    if page is not None:
        part.row(what="turn", route="web", status=page.status_code, bytes=len(page.content))


def _talk(url: str, audio: bytes, number: int, talkers: int, until: float) -> list[dict[str, float]]:
    session, turns = uuid.uuid4().hex, []
    time.sleep(2.0 * number / talkers)
    while time.perf_counter() < until:
        turns.append(_turn(url, audio, session))
        time.sleep(THINK_S)
    return turns


def _talkers(part: Part, url: str, audio: bytes, sharing: str, seconds: float) -> None:
    took = seconds
    for count in TALKERS:
        if part.left_s() < 2 * took + KILL_S:  # twice the learners may wait twice as long
            return
        began = time.perf_counter()
        until = began + seconds
        with ThreadPoolExecutor(count) as pool:
            runs = [pool.submit(_talk, url, audio, number, count, until) for number in range(count)]
            turns, errors = [], []
            for run in runs:
                try:
                    turns += run.result()
                except (RuntimeError, httpx.HTTPError) as error:
                    errors.append(str(error)[:200])
        took = max(seconds, time.perf_counter() - began)
        part.row(what="talkers", sharing=sharing, talkers=count, errors=errors[:2], **summary(turns))


def _killed(part: Part, pid: int, url: str, audio: bytes, stage: str) -> None:
    """SIGKILL of a stage's process in the middle of a turn: what the turn is told, and when one works again."""
    victim = next((process for process, name in _replicas(pid).items() if name == stage), None)
    if victim is None:
        part.row(what="killed", stage=stage, error="no such process")
        return
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(_turn, url, audio, "killed")
        time.sleep(0.35)
        psutil.Process(victim).kill()
        began = time.perf_counter()
        try:
            running.result(timeout=40)
            told = "the turn was complete"
        except Exception as error:  # noqa: BLE001 - whatever the learner is told
            told = str(error)[:200]
    part.row(what="killed", stage=stage, told=told, told_s=round(time.perf_counter() - began, 1))
    limit = time.perf_counter() + max(5.0, part.left_s() - 15)
    while time.perf_counter() < limit:
        with contextlib.suppress(RuntimeError, httpx.HTTPError):
            if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                found = _turn(url, audio, uuid.uuid4().hex)
                part.row(what="recovered", stage=stage, seconds=round(time.perf_counter() - began, 1), **found)
                return
        time.sleep(0.3)
    part.row(what="recovered", stage=stage, error=f"not within {time.perf_counter() - began:.0f} s")


def _measure(part: Part, stack: str, sharing: str) -> None:
    missing = [] if has("ray") else ["ray"]
    missing += [] if has("vllm") or has("xllamacpp") else ["vllm or xllamacpp"]
    missing += [kind for kind in ("stt", "tts" if stack == "modal" else "kokoro") if not engine_wanted(kind, part)]
    if missing:
        part.row(what="skipped", error=f"not here: {', '.join(missing)}")
        return
    audio = recording()
    with _serving(stack, part, sharing) as (pid, url):
        _routes(part, url, audio)
        part.memory(_replicas(pid), sharing=sharing)
        _talkers(part, url, audio, sharing, 2.0 if part.tiny else 6.0)
        for stage in ("tts", "vllm"):
            if part.left_s() > 30:
                _tried(part, "killed", lambda stage=stage: _killed(part, pid, url, audio, stage), stage=stage)


def stack(part: Part) -> None:
    """The modal stack under the driver's time slicing."""
    _measure(part, "modal", "time-slicing")


def stack_mps(part: Part) -> None:
    """The modal stack under MPS: the server's own, or where it starts none a daemon of ours."""
    from serve_app.config.stack import StackArgs

    if not gpu_mps.at_hand() or "gpu" in StackArgs.model_fields:
        _measure(part, "modal", "mps")
        return
    with gpu_mps.mps() as daemon:
        os.environ.update(daemon.environment)
        _measure(part, "modal", "mps")


def local_stack(part: Part) -> None:
    """The local stack under time slicing, with Ministral."""
    _measure(part, "local", "time-slicing")
