"""Ends a bare `serve run` whose stack cannot run: by itself it would wait for ever."""

from __future__ import annotations

import itertools
import logging
import signal
import sys
import time
from pathlib import Path

import psutil
import ray

from serve_app.launch import ray_private

logger = logging.getLogger("ray.serve")

SERVE = ("serve", "ray.serve.scripts")
"""Names of Ray Serve's program on a command line: the console script, and the module of `python -m`."""
READING_TIME_S = 2.0
"""How long Ray may take to show a worker's last log line on the driver's terminal."""


def end_bare_serve_run(message: str) -> None:
    """Show the message on the terminal of the `serve run` that asked for this build, then interrupt it.

    Ray builds the graph in a worker process, and `serve run FILE` does not check the outcome: it sleeps until
    interrupted. Any other driver (`parle serve`, `serve deploy`, a test) checks, and is left alone, as is a
    `serve run` on another machine.
    """
    driver = _bare_serve_run()
    if driver is None:
        return
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - a worker's stderr is what Ray shows on the driver's terminal
    time.sleep(READING_TIME_S)
    _interrupt(driver)


def _bare_serve_run() -> psutil.Process | None:
    if not ray.is_initialized() or ray.get_runtime_context().worker.mode != ray.WORKER_MODE:
        return None
    found = ray_private.driver_of(ray.get_runtime_context().get_job_id())
    if found is None or found[0] != ray.util.get_node_ip_address():
        return None
    try:
        driver = psutil.Process(found[1])
        command = [Path(part).name for part in driver.cmdline()]
    except psutil.Error:
        return None
    started_by_serve_run = any(name in SERVE and verb == "run" for name, verb in itertools.pairwise(command))
    return driver if started_by_serve_run else None


def _interrupt(driver: psutil.Process) -> None:
    try:
        driver.send_signal(signal.SIGINT)
        driver.wait(10)
    except psutil.TimeoutExpired:
        driver.terminate()  # a shell's background job ignores SIGINT
    except psutil.NoSuchProcess:
        logger.info("serve run has ended already")
