"""A real `parle serve` for a measurement, and a client that records when each event arrives."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import tempfile
import time
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from serve_app.launch import child_process

STACK = Path(__file__).parent.parent / "configs/cpu_stack.yaml"
STOP_S = 60


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    ready_s: float
    process: psutil.Process

    def memory_gb(self) -> float:
        """Memory of the process tree in GB: proportional set size, so that shared memory counts once."""
        total = 0
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total / 1e9

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """The whole tree stands still in this block; for some seconds, as Ray gives up what is silent for long."""
        tree = self._tree()
        try:
            for process in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.suspend()
            yield
        finally:
            for process in reversed(tree):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def _tree(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextlib.contextmanager
def serving(user_configs: dict[str, dict[str, Any]] | None = None, options: Sequence[str] = ()) -> Iterator[Server]:
    """The CPU stack on a free port, with changes to its `user_config`s; stopped when the block is left."""
    stack = yaml.safe_load(STACK.read_text("utf-8"))
    for deployment in stack["applications"][0]["deployments"]:
        deployment["user_config"].update((user_configs or {}).get(deployment["name"], {}))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stack.yaml")
        path.write_text(yaml.safe_dump(stack, allow_unicode=True), "utf-8")
        started = time.perf_counter()
        with child_process.serving(path, Path(folder, "log"), *options, stop_s=STOP_S) as (process, url):
            yield Server(url, time.perf_counter() - started, psutil.Process(process.pid))


@dataclass(slots=True)
class Heard:
    """One turn as a client sees it. Times in seconds since the recording was sent."""

    transcript: str = ""
    response: str = ""
    llm_first_token_s: float = 0.0
    first_audio_s: float = 0.0
    total_s: float = 0.0
    pieces: list[tuple[float, float]] = field(default_factory=list)
    """For each piece: when it arrived, how long it plays."""
    spoken: list[str] = field(default_factory=list)
    """For each piece, if known: its text."""
    deltas: list[str] = field(default_factory=list)
    timing: dict[str, int] = field(default_factory=dict)

    def gap_s(self) -> float:
        """Seconds of silence between pieces for a listener who plays each as soon as possible."""
        silent, playing_until = 0.0, self.pieces[0][0]
        for arrived, duration in self.pieces:
            silent += max(0.0, arrived - playing_until)
            playing_until = max(playing_until, arrived) + duration
        return silent

    def after_s(self, opening: str) -> float:
        """When the first piece arrived that says more than the `opening`; the only one, if there is no more."""
        said = 0
        for (arrived, _), text in zip(self.pieces, self.spoken, strict=True):
            said += len(text)
            if said > len(opening):
                return arrived
        return self.pieces[0][0]


def turn(
    url: str, recording: bytes, session_id: str, order: str = "eager", level: str | None = None, key: str | None = None
) -> Heard:
    """Send one recording and record what comes back when; waits for a place where the server is full.

    `level` is the learner's, if the server need not estimate it; `key` an API key, where it wants one.

    Raises:
        RuntimeError: the turn ended with an error.
        httpx.HTTPStatusError: it was refused.
    """
    heard = Heard()
    started = time.perf_counter()
    llm_started = 0.0
    fields = {"session_id": session_id, "order": order} | ({"level": level} if level else {})
    with httpx.stream(
        "POST",
        f"{url}/api/stream-audio?wait=true",
        files={"audio": recording},
        data=fields,
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=300,
    ) as response:
        response.raise_for_status()
        event = ""
        for line in response.iter_lines():
            now = time.perf_counter() - started
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
                continue
            if not line.startswith("data: "):
                continue
            data = json.loads(line.removeprefix("data: "))
            match event:
                case "status" if data["stage"] == "llm":
                    llm_started = now
                case "delta":
                    heard.llm_first_token_s = heard.llm_first_token_s or now - llm_started
                    heard.deltas.append(data["text"])
                case "audio":
                    heard.first_audio_s = heard.first_audio_s or now
                    heard.pieces.append((now, _seconds(base64.b64decode(data["chunk"]))))
                    heard.spoken.append(data["text"])
                case "complete":
                    heard.transcript, heard.response, heard.timing = (
                        data["transcript"],
                        data["response"],
                        data["timing"],
                    )
                    heard.total_s = now
                case "error":
                    raise RuntimeError(f"the turn failed: {data}")
    return heard


def _seconds(wav_file: bytes) -> float:
    with wave.open(io.BytesIO(wav_file)) as opened:
        return opened.getnframes() / opened.getframerate()
