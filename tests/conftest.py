"""What the tests share: a speaker, a listener, and two real servers, each started once and only if a test asks."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import servers
from support.paths import CPU_STACK
from support.servers import Server
from support.speech import Listener, Speaker, resampled

from serve_app.engines.stt.faster_whisper import FasterWhisper
from serve_app.protocols import STT_SAMPLE_RATE, Audio, Transcript
from serve_app.weights.model_names import resolve

NEEDS = {"gpu_engines": "torch", "browser": "playwright"}
collect_ignore = [folder for folder, package in NEEDS.items() if find_spec(package) is None]
pytest_plugins = ["gpu_engines.vllm_engines"] if find_spec("vllm") else []

SERVERS = "tests/server/"
BESIDE = 10
"""The niceness of what is not a server's test."""
RAY_FOLDER = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Ray's files, and conversations, of this run in a folder of its own.

    A bare `serve run` joins the Ray last noted in the common folder, and waits without end for one that was killed.
    """
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    config.stash[RAY_FOLDER] = os.environ["RAY_TMPDIR"] = folder
    os.environ["XDG_DATA_HOME"] = f"{folder}/data"  # no conversation of a test among the user's own
    os.environ.pop("PARLE_STORE_URL", None)


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[RAY_FOLDER], ignore_errors=True)


@pytest.hookimpl(optionalhook=True)  # pytest-xdist is not everywhere
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n 2`: the real servers one after the other in the first process, everything else by file in the others.

    Two servers side by side would want the same ports of Ray, and starve each other's models.
    """
    from xdist.scheduler import LoadFileScheduling

    class ServersInOneProcess(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return SERVERS if nodeid.startswith(SERVERS) else super()._split_scope(nodeid)

    return ServersInOneProcess(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """With `-n 2`: what runs beside the servers takes what they leave."""
    if "PYTEST_XDIST_WORKER" in os.environ and not item.nodeid.startswith(SERVERS):
        os.setpriority(os.PRIO_PROCESS, 0, BESIDE)


@pytest.fixture(scope="session")
def speech(pytestconfig: pytest.Config) -> Speaker:
    """Says Portuguese texts; kept in pytest's cache, so that a second run need not say them again."""
    assert pytestconfig.cache is not None
    return Speaker(pytestconfig.cache.mkdir("speech"))


@pytest.fixture(scope="session")
def whisper() -> FasterWhisper:
    """The STT engine of the CPU stack."""
    return FasterWhisper(resolve("wheel:whisper-base"))


@pytest.fixture(scope="session")
def listen(whisper: FasterWhisper) -> Listener:
    """Transcribes samples of any rate, outside the server: what a listener understands."""
    thread = ThreadPoolExecutor(1)

    def listening(audio: Audio, rate: int) -> Transcript:
        heard = resampled(audio, rate, STT_SAMPLE_RATE)
        return thread.submit(asyncio.run, whisper.transcribe(heard, language="pt")).result()

    return listening


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """The stack that a stranger runs, configs/cpu_stack.yaml, with a tutor that replies the same each time.

    Its model is slow: whole turns over each route and what needs a long reply use it, everything else `small_server`.
    """
    folder = tmp_path_factory.mktemp("server")
    stack = yaml.safe_load(CPU_STACK.read_text("utf-8"))
    for deployment in stack["applications"][0]["deployments"]:
        if deployment["name"] == "TutorLLM":
            deployment["user_config"]["sampling"]["temperature"] = 0.0
        if deployment["name"] == "TextToSpeech":
            deployment["user_config"]["openings_ahead"] = False  # tests count what the voice does
    with servers.serving(written(stack, folder / "cpu_stack.yaml"), folder / "terminal.log") as running:
        yield running


@pytest.fixture(scope="session")
def small_stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CPU stack with a language model of eight times the speed, which writes all of the reply, and low limits."""
    stack = yaml.safe_load(CPU_STACK.read_text("utf-8"))
    args = stack["applications"][0]["args"]
    args["llm"].update(model="wheel:gemma-3-270m", chat_template="transcript", context_tokens=2048)
    args["limits"] = {"max_audio_s": 20, "max_body_mb": 8, "max_turns": 3}
    for deployment in stack["applications"][0]["deployments"]:
        if deployment["name"] == "TutorLLM":
            deployment["user_config"]["sampling"]["temperature"] = 0.0
        if deployment["name"] == "TextToSpeech":
            deployment["user_config"]["openings_ahead"] = False
        if deployment["name"] == "Ingress":
            deployment["user_config"]["teaching"] = {"openings": False, "recast": False, "questions": False}
    return written(stack, tmp_path_factory.mktemp("small-stack") / "small_stack.yaml")


@pytest.fixture(scope="session")
def small_server(small_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """One real server for all tests of a session that need one; those marked `harms_server` come last."""
    with servers.serving(small_stack, tmp_path_factory.mktemp("small-server") / "terminal.log") as running:
        yield running


def written(stack: dict[str, Any], path: Path) -> Path:
    path.write_text(yaml.safe_dump(stack, allow_unicode=True), "utf-8")
    return path


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What kills stages, changes the stack or ends the server comes after everything that wants it whole."""

    def harm(item: pytest.Item) -> int:
        marker = item.get_closest_marker("harms_server")
        return marker.args[0] if marker else 0

    items.sort(key=harm)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the servers wrote beside a test that failed against them."""
    report = yield
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Server):
                report.sections.append((f"terminal of {name}", value.log.read_text("utf-8", "replace")[-4000:]))
    return report
