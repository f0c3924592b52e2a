"""faster-whisper on a GPU, as far as it can be tested without one: cuBLAS 12 is found and loaded, memory is limited."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.engines.stt import cublas12
from serve_app.engines.stt.faster_whisper import FasterWhisper
from serve_app.errors import StackError
from serve_app.gpu.cards import CONTEXT_BYTES
from serve_app.weights.model_names import resolve
from serve_app.weights.whisper_names import CONVERSIONS, conversion_of

GIB = 2**30


def wheels(folder: Path) -> dict[str, str]:
    """Install tiny libraries, named as in the cuBLAS wheels of CUDA 13 and CUDA 12; return an environment with both."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to make a library with")
    for site, version in (("thirteen", "13"), ("twelve", "12")):
        lib = folder / site / "nvidia" / "cublas" / "lib"
        lib.mkdir(parents=True)
        for name in ("libcublasLt.so", "libcublas.so"):
            soname = f"{name}.{version}"
            source = lib / "source.c"
            source.write_text(f"int version(void) {{ return {version}; }}")
            subprocess.run([compiler, "-shared", f"-Wl,-soname,{soname}", "-o", lib / soname, source], check=True)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "thirteen"), str(folder / "twelve")])}


def run(code: str, environment: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_cublas_12_is_found_beside_13_and_opened_by_its_name_alone(tmp_path: Path) -> None:
    code = (
        "import ctypes\n"
        "from serve_app.engines.stt import cublas12\n"
        "print(*[file.name for file in cublas12.find()], cublas12.find()[0].parts[-5])\n"
        "cublas12.preload()\n"
        "print(ctypes.CDLL('libcublas.so.12').version())"  # as CTranslate2 opens it
    )
    assert run(code, wheels(tmp_path)).split() == ["libcublasLt.so.12", "libcublas.so.12", "twelve", "12"]


def test_without_cublas_12_the_wheel_is_named(tmp_path: Path) -> None:
    environment = wheels(tmp_path)
    (tmp_path / "twelve/nvidia/cublas/lib/libcublasLt.so.12").unlink()
    code = (
        "from serve_app.engines.stt import cublas12\n"
        "from serve_app.errors import StackError\n"
        "assert cublas12.find() == []\n"
        "try: cublas12.preload()\n"
        "except StackError as error: print(error)"
    )
    told = run(code, environment)
    assert told.endswith("pip install nvidia-cublas-cu12")
    assert "\n" not in told


def test_the_cache_is_what_the_share_leaves_after_the_weights() -> None:
    assert cublas12.cache_bytes(0.25, 24 * GIB, 2 * GIB) == 6 * GIB - 2 * GIB - CONTEXT_BYTES
    with pytest.raises(StackError, match=r"num_gpus 0\.05 is too little .* 0\.10 at least"):
        cublas12.cache_bytes(0.05, 24 * GIB, 2 * GIB)


def test_whole_cards_set_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CT2_CUDA_CACHING_ALLOCATOR_CONFIG", raising=False)
    for share in (None, 1, 2):
        cublas12.hold(share, 100 * GIB)
    assert "CT2_CUDA_CACHING_ALLOCATOR_CONFIG" not in os.environ


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a card")
def test_without_a_card_cuda_is_refused_in_one_line() -> None:
    for share in (0.3, None):
        with pytest.raises(StackError) as refused:
            FasterWhisper(resolve("wheel:whisper-base"), device="cuda", share=share)
        assert "\n" not in str(refused.value)


def test_a_folder_that_is_no_conversion_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"no model\.bin"):
        FasterWhisper(tmp_path)
    for name in ("model.bin", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(StackError, match="cannot load"):
        FasterWhisper(tmp_path)


def test_published_names_lead_to_conversions_that_faster_whisper_knows() -> None:
    from faster_whisper import utils

    assert set(CONVERSIONS.values()) == set(utils._MODELS.values())
    assert conversion_of("openai/whisper-small") == "Systran/faster-whisper-small"
    assert conversion_of("openai/whisper-large-v3-turbo") == "mobiuslabsgmbh/faster-whisper-large-v3-turbo"
    for name in ("wheel:whisper-base", "./models/whisper", "someone/whisper-pt-ct2"):
        assert conversion_of(name) == name


def test_the_names_are_known_without_any_library() -> None:
    code = "import sys, serve_app.weights.whisper_names; print(*sorted({'ctranslate2', 'numpy'} & {*sys.modules}))"
    assert run(code, {**os.environ}) == ""
