"""How much the engines of a running server have done: asked of its ingress, through a Serve handle.

The counts are not part of the HTTP API. A child process joins the server's Ray and stays connected: joining takes
seconds, each answer milliseconds, and the process of the tests never joins a Ray itself.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from contextlib import suppress

import psutil
import ray
from ray import serve

APPLICATION = "parle"
ANSWER_S = 30
GCS_ADDRESS = "--gcs-address="
"""The option of Ray's raylet that has the address of its cluster; Ray looks for it in the same way."""

TAKEN_OVER = ("RAY_AUTH", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")
"""Beginnings of the variables that a process must have as the Ray has it that it joins: token, and where to listen."""


class EngineWork:
    """The work of the engines of one server, whose Ray runs below the process `home`."""

    def __init__(self, home: psutil.Process) -> None:
        self._home = home
        self._child: subprocess.Popen[str] | None = None

    def ask(self) -> dict[str, int]:
        """Per model stage, the work since its start; see `work_done` of the engines."""
        if self._child is None:
            self._child = self._connect()
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if not answer:
            raise AssertionError(f"the connection to the server's Ray was lost (exit code {self._child.wait()})")
        return json.loads(answer)

    def close(self) -> None:
        """Disconnect from the server's Ray."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _connect(self) -> subprocess.Popen[str]:
        raylet, address = self._raylet()
        settings = {name: value for name, value in raylet.environ().items() if name.startswith(TAKEN_OVER)}
        return subprocess.Popen(
            [sys.executable, "-P", __file__, address],
            env={**os.environ, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _raylet(self) -> tuple[psutil.Process, str]:
        for process in self._home.children(recursive=True):
            with suppress(psutil.Error):
                for argument in process.cmdline() if process.name() == "raylet" else ():
                    if argument.startswith(GCS_ADDRESS):
                        return process, argument.removeprefix(GCS_ADDRESS)
        raise AssertionError("no Ray runs below the server's process")


def _answer(address: str) -> None:
    """The child: one line of JSON for each line that comes in."""
    ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    ingress = serve.get_app_handle(APPLICATION)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    for _ in sys.stdin:
        print(json.dumps(ingress.work.remote().result(timeout_s=ANSWER_S)), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    _answer(sys.argv[1])
