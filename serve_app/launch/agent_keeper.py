"""Starts Ray's dashboard agent, and starts it again when it dies. Run by the raylet in place of the agent.

A raylet ends when its agent does, and the server with it, though the agent only collects metrics and passes on
deploys. So it runs below this script, which stays as long as the raylet does. It imports nothing of ours: it has to be
small. Arguments: the agent's script and its arguments.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

POLL_S = 0.5
PAUSE_S = 1.0
"""Before the next start, so that one that cannot start does not take a core."""
PORTS = {
    "--grpc-port": "metrics_agent_port",
    "--listen-port": "dashboard_agent_listen_port",
    "--metrics-export-port": "metrics_export_port",
}
"""The agent's options, and the files of the session in which it notes the ports that it got."""
PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    raylet = os.getppid()
    signal.signal(signal.SIGTERM, _end)
    while os.getppid() == raylet:
        # An agent ends when its parent is not this process.
        environment = {**os.environ, "RAY_RAYLET_PID": str(os.getpid())}
        agent = subprocess.Popen([sys.executable, "-u", *arguments], env=environment, preexec_fn=_die_with_parent)
        try:
            while agent.poll() is None and os.getppid() == raylet:
                time.sleep(POLL_S)
        finally:
            agent.kill()
            agent.wait()
        arguments = with_ports(arguments)
        time.sleep(PAUSE_S)


def with_ports(arguments: list[str]) -> list[str]:
    """The arguments with the ports that the agent had before, which the raylet and scrapers of metrics know."""
    given = {argument.partition("=")[0]: argument.partition("=")[2] for argument in arguments}
    found: dict[str, str] = {}
    for option, name in PORTS.items():
        with suppress(OSError, ValueError):
            port = int(Path(given["--session-dir"], f"{name}_{given['--node-id']}").read_text("utf-8"))
            if port > 0:
                found[option] = str(port)
    return [
        f"{name}={found[name]}" if (name := argument.partition("=")[0]) in found else argument for argument in arguments
    ]


def _end(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
