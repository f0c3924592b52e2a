"""Launching and the command line, without starting Ray: its private modules in one file, errors in one line."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import ray
from ray._private import worker
from support.paths import CONFIGS, ROOT

from serve_app.cli import talk
from serve_app.errors import StackError
from serve_app.launch import child_process, ray_private, serve_status
from serve_app.protocols import LEVELS

ADAPTER = "serve_app/launch/ray_private.py"
OTHER = f"Parle was written against Ray {ray_private.READ_AGAINST}; this is Ray 2.99.0, which lacks something it needs"


def private_names(file: Path) -> Iterator[str]:
    """What a file takes from private modules of Ray: imports, and attributes of `ray`."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        for name in names:
            first, *parts = name.split(".")
            private = any(part.startswith("_") and part != "__version__" for part in parts)
            if first == "ray" and (private or parts[:2] == ["serve", "generated"]):
                yield name


def test_one_file_alone_uses_rays_private_modules() -> None:
    users = {
        str(file.relative_to(ROOT)): names
        for file in (ROOT / "serve_app").rglob("*.py")
        if (names := set(private_names(file)))
    }
    assert set(users) == {ADAPTER}, users
    assert "ray.serve._private.client.ServeControllerClient" in users[ADAPTER]


def test_the_adapter_was_read_against_the_ray_that_is_pinned() -> None:
    assert f'"ray[serve]=={ray_private.READ_AGAINST}"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert f"Read against Ray {ray_private.READ_AGAINST}." in (ray_private.__doc__ or "")


def test_another_ray_that_lacks_a_module_is_refused_in_one_line() -> None:
    code = (
        "import sys, ray.serve\n"
        "ray.__version__ = '2.99.0'\n"
        "sys.modules['ray.serve._private.client'] = None\n"
        "from serve_app.cli.main import main\n"
        "main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "serve", CONFIGS / "cpu_stack.yaml", "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1, ended
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"parle: {OTHER}")
    assert line.endswith(f"pip install 'ray[serve]=={ray_private.READ_AGAINST}'")


def test_another_ray_that_lacks_an_attribute_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(worker, "_global_node")
    with pytest.raises(AttributeError):  # on the version that was read it is a mistake of ours
        ray_private.dead_processes()
    monkeypatch.setattr(ray, "__version__", "2.99.0")
    with pytest.raises(StackError) as refused:
        ray_private.dead_processes()
    assert refused.value.message.startswith(OTHER)
    assert "\n" not in refused.value.message


def raised(error: Exception) -> str:
    try:
        raise error
    except type(error):
        return traceback.format_exc()


def test_our_own_error_is_found_in_a_traceback_that_ray_passed_on() -> None:
    text = f"The deployment failed to start.\n\x1b[36mray::x()\x1b[39m\n{raised(StackError('no card'))}"
    assert serve_status.ours(text) == "no card"
    assert serve_status.reason(text) == "no card"


def test_of_any_other_error_the_last_line_says_what_happened() -> None:
    text = f"Deploying failed with exception:\n{raised(RuntimeError('out of memory'))}"
    assert serve_status.ours(text) is None
    assert serve_status.reason(text) == "RuntimeError: out of memory"
    assert serve_status.reason("Waiting for replicas.\nSee the logs.") == "Waiting for replicas."
    assert serve_status.reason("") == "no reason given"


def test_a_server_that_ignores_the_interrupt_is_killed_with_its_children() -> None:
    script = "trap '' INT; sleep 60 & echo $!; wait; sleep 60"
    server = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert server.stdout is not None
    child = psutil.Process(int(server.stdout.readline()))
    child_process.stop(server, 0.5)
    assert server.returncode == -signal.SIGKILL
    child.wait(30)


@pytest.mark.parametrize("level", LEVELS)
def test_the_command_line_knows_every_level(level: str) -> None:
    assert talk.talk.make_context("talk", [__file__, "--level", level.lower()]).params["level"] == level
