"""NVIDIA's MPS as a daemon of this user's own: started until it can take clients, and ended whatever state it is in."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress

import psutil

from serve_app.errors import first_line
from serve_app.gpu.mps import CONTROL, LOG_VARIABLE, PIPE_VARIABLE, Control, MpsError

START_S = 20.0
QUIT_S = 2
PID_FILE = "nvidia-cuda-mps-control.pid"


def start(control: Control) -> None:
    """The daemon, and a server of this user that is ready: it fails now where it cannot work, not in a stage."""
    # The server would number the cards anew, and Ray gives each stage a number of the machine's own.
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    environment |= {PIPE_VARIABLE: str(control.pipe), LOG_VARIABLE: str(control.pipe)}
    try:
        done = subprocess.run(
            [CONTROL, "-d"], env=environment, capture_output=True, text=True, timeout=START_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MpsError(f"{CONTROL} does not start: {first_line(error)}") from None
    if done.returncode:
        said = (done.stdout + done.stderr).strip() or _last_log(control) or f"exit code {done.returncode}"
        raise MpsError(f"{CONTROL} does not start: {said.splitlines()[0]}")
    await_server(control)


def await_server(control: Control) -> None:
    """Wait until a server can take clients.

    Raises:
        MpsError: none can.
    """
    if not control.servers():
        control.ask(f"start_server -uid {os.getuid()}", limit_s=START_S)
    patience, state = time.monotonic() + START_S, "no server starts"
    while time.monotonic() < patience:
        if servers := control.servers():
            state = control.state(servers[0])
            if state == "ACTIVE":
                return
        time.sleep(0.1)
    raise MpsError(f"its server does not become ready: {_last_log(control) or state}")


def _last_log(control: Control) -> str | None:
    """The last line of the server's log, or of the daemon's, which says why it cannot work."""
    for name in ("server.log", "control.log"):
        with suppress(OSError):
            lines = (control.pipe / name).read_text("utf-8", "replace").splitlines()
            if told := [line.strip() for line in lines if line.strip()]:
                return told[-1]
    return None


def end(control: Control, after_s: int = QUIT_S) -> None:
    """End our daemon and its servers, whatever state they are in."""
    family: list[psutil.Process] = []
    with suppress(OSError, ValueError, psutil.NoSuchProcess):
        daemon = psutil.Process(int((control.pipe / PID_FILE).read_text("utf-8").strip()))
        family = [daemon, *daemon.children(recursive=True)]
    with suppress(MpsError):
        control.quit(after_s)
    _, alive = psutil.wait_procs(family, after_s)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
