"""Models on the hub, against a real HTTP server that implements the hub's protocol.

Each in a new process, because huggingface_hub reads its environment once, at import.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Generator
from pathlib import Path

import pytest
from support.fake_hub import COMMIT, FILES, GGUF_FILES, Hub
from support.fake_wheels import tiny_model
from support.paths import ROOT


@pytest.fixture
def hub() -> Generator[Hub, None, None]:
    server = Hub()
    yield server
    server.close()


def run(body: str, home: Path, endpoint: str, **environment: str) -> str:
    """The output of `body`, in which `says(f, *args)` prints the result of a call or its StackError."""
    code = """
        import sys
        from pathlib import Path
        from serve_app.errors import StackError
        from serve_app.weights.model_names import check, resolve
        from serve_app.weights.wheels import load_catalogue
        def says(call, *args, **named):
            try:
                print(call(*args, **named))
            except StackError as error:
                print(error)
    """
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    clean = {name: value for name, value in clean.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    own = {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home / "hf"),
        "PYTHONPATH": str(ROOT),
        "HF_HUB_ETAG_TIMEOUT": "5",
    }
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code) + textwrap.dedent(body)],
        env={**clean, **own, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_model_is_downloaded_once_and_found_offline(hub: Hub, tmp_path: Path) -> None:
    folder = Path(run("says(resolve, 'open/model')", tmp_path, hub.url))
    # The copy for TensorFlow is not downloaded.
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "config.json": b"{}",
        "model.safetensors": b"weights",
    }
    hub.asked.clear()
    both = "says(check, 'open/model')\nsays(resolve, 'open/model')"
    assert run(both, tmp_path, hub.url, HF_HUB_OFFLINE="1") == f"None\n{folder}"
    assert hub.asked == []


def test_the_bytes_are_told_while_they_come_and_nothing_is_drawn(hub: Hub, tmp_path: Path) -> None:
    told = run(
        """
        seen = []
        resolve("open/model", progress=lambda *bytes: seen.append(bytes))
        print(seen[-1])
        print(all(done <= total for done, total in seen))
        """,
        tmp_path,
        hub.url,
    )
    total = len(FILES["config.json"]) + len(FILES["model.safetensors"])
    assert told.splitlines() == [f"({total}, {total})", "True"]


def test_a_download_can_be_given_up_and_says_so(hub: Hub, tmp_path: Path) -> None:
    told = run(
        """
        def stop(done, total):
            raise StackError("the fetching was interrupted")
        says(resolve, "open/model", progress=stop)
        """,
        tmp_path,
        hub.url,
    )
    assert told == "the fetching was interrupted"


def test_revision_and_files_limit_the_download(hub: Hub, tmp_path: Path) -> None:
    call = f"says(resolve, 'open/model@{COMMIT}', files=['*.json'])"
    folder = Path(run(call, tmp_path, hub.url))
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert not any("/revision/main" in path or "safetensors" in path for path in hub.asked)


REFUSED = {
    "gated/model": "gated/model is gated: accept its licence at {url}/gated/model and set HF_TOKEN",
    "no/model": "no model no/model at {url} that this machine may see",
    "open/model@v9": "open/model has no revision v9",
    "broken/model": "{url} answered 500 for broken/model",
    "bad/token": "the hub refuses the token in HF_TOKEN",
    "gguf/model:tutor-Q4.gguf": "gguf/model: unknown file 'tutor-Q4.gguf'; did you mean 'tutor-Q4_0.gguf'? "
    "See {url}/gguf/model/tree/main",
    "open/model:tutor.gguf": "open/model: there is no file 'tutor.gguf', nor any other .gguf file. See {url}/",
    "gguf/model@v9:tutor-Q4_0.gguf": "gguf/model has no revision v9",
    "gated/model:tutor.gguf": "gated/model is gated: accept its licence at {url}/gated/model and set HF_TOKEN",
    "no/model:tutor.gguf": "no model no/model at {url} that this machine may see",
    "bad/token:tutor.gguf": "the hub refuses the token in HF_TOKEN",
}


def test_each_refusal_of_the_hub_is_one_line(hub: Hub, tmp_path: Path) -> None:
    said = run(f"for name in {[*REFUSED]}:\n    says(resolve, name)", tmp_path, hub.url).splitlines()
    for line, (name, told) in zip(said, REFUSED.items(), strict=True):
        assert line.startswith(told.format(url=hub.url)), name
        assert any(name.partition(":")[0].partition("@")[0] in path for path in hub.asked)


def test_one_file_of_a_repository_is_all_that_is_downloaded(hub: Hub, tmp_path: Path) -> None:
    file = Path(run("says(resolve, 'gguf/model:tutor-Q4_0.gguf')", tmp_path, hub.url))
    assert file.read_bytes() == GGUF_FILES["tutor-Q4_0.gguf"]
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert not any("Q8_0" in path for path in hub.asked)

    inside = run(f"says(resolve, 'gguf/model@{COMMIT}:large/tutor-BF16.gguf')", tmp_path, hub.url)
    assert Path(inside).read_bytes() == GGUF_FILES["large/tutor-BF16.gguf"]

    hub.asked.clear()
    offline = """
        from serve_app.weights.model_names import present
        for name in ("gguf/model:tutor-Q4_0.gguf", "gguf/model:tutor-Q8_0.gguf"):
            for call in (check, resolve, present):
                says(call, name)
    """
    here = [None, file, file]
    missing = "gguf/model is not wholly in the hub's cache and HF_HUB_OFFLINE is set: unset it, or download first"
    told = run(offline, tmp_path, hub.url, HF_HUB_OFFLINE="1").splitlines()
    assert told == [*map(str, here), missing, missing, "None"]
    assert hub.asked == []


def test_the_bytes_of_one_file_are_told(hub: Hub, tmp_path: Path) -> None:
    told = run(
        """
        seen = []
        resolve("gguf/model:tutor-Q4_0.gguf", progress=lambda *bytes: seen.append(bytes))
        print(seen[-1])
        """,
        tmp_path,
        hub.url,
    )
    total = len(GGUF_FILES["tutor-Q4_0.gguf"])
    assert told == f"({total}, {total})"


def test_offline_and_not_in_the_cache(hub: Hub, tmp_path: Path) -> None:
    both = "says(check, 'open/model')\nsays(resolve, 'open/model')"
    said = run(both, tmp_path, hub.url, HF_HUB_OFFLINE="1").splitlines()
    assert len(said) == 2
    assert all("HF_HUB_OFFLINE is set" in line for line in said)
    assert hub.asked == []


def test_unreachable_hub(tmp_path: Path) -> None:
    # Bound but not listening: connections are refused, and no other process can take the port.
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        said = run("says(resolve, 'open/model')", tmp_path, f"http://127.0.0.1:{closed.getsockname()[1]}")
    assert "cannot be reached (ConnectError" in said
    assert "\n" not in said


def test_missing_library_says_what_to_install(tmp_path: Path) -> None:
    said = run(
        "sys.modules['huggingface_hub'] = None\nsays(check, 'open/model')\nsays(resolve, 'open/model')",
        tmp_path,
        "http://127.0.0.1:9",
    ).splitlines()
    assert len(said) == 2
    assert all("pip install 'parle-serve[hub]'" in line for line in said)


def test_wheels_and_local_names_never_reach_a_hub(hub: Hub, tmp_path: Path) -> None:
    tiny_model(tmp_path / "site", tmp_path / "tiny.toml")
    (tmp_path / "organisation" / "model").mkdir(parents=True)
    said = run(
        f"""
        import os
        os.chdir({str(tmp_path)!r})
        sys.path.insert(0, "site")
        known = load_catalogue(Path("tiny.toml"))
        for name in ("wheel:tiny", "wheel:open/model", "wheel:nothing", "organisation/model",
                     "./open/model", "/open/model", "../open/model", "~/open/model", "model"):
            says(check, name, catalogue=known, cache_dir=Path("cache"))
            says(resolve, name, catalogue=known, cache_dir=Path("cache"))
        print("huggingface_hub" in sys.modules)
        says(check, "open/model")
        """,
        tmp_path,
        hub.url,
    ).splitlines()
    assert said[1] == str(tmp_path / "cache" / "weights" / "tiny")
    assert said[-2:] == ["False", "None"]
    assert hub.asked == []
    # The same environment does reach this server when the name is a hub id.
    run("says(resolve, 'open/model')", tmp_path, hub.url)
    assert hub.asked
