"""Ray's dashboard agent dies: it is started again, with the ports it had; and ends with the raylet. No Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from support.waiting import wait_for

from serve_app.launch.ray_private import KEEPER

AGENT = """
import os, sys, time
from pathlib import Path
options = dict(one.partition("=")[::2] for one in sys.argv[1:])
assert os.environ["RAY_RAYLET_PID"] == str(os.getppid())
folder = Path(options["--session-dir"])
(folder / "metrics_agent_port_n1").write_text("4711")
with (folder / "starts").open("a") as starts:
    starts.write(options["--grpc-port"] + chr(10))
time.sleep(600)
"""


def test_it_is_started_again_with_its_ports_and_ends_with_the_raylet(tmp_path: Path) -> None:
    agent, starts = tmp_path / "agent.py", tmp_path / "starts"
    agent.write_text(AGENT, "utf-8")
    command = [sys.executable, KEEPER, str(agent), "--node-id=n1", f"--session-dir={tmp_path}", "--grpc-port=0"]
    raylet = subprocess.Popen([sys.executable, "-c", f"import subprocess; subprocess.Popen({command!r}).wait()"])
    try:
        below: list[psutil.Process] = []
        for number, ports in enumerate((["0"], ["0", "4711"]), 1):
            wait_for(lambda n=number: starts.exists() and len(starts.read_text().split()) == n, 30, "the agent")
            assert starts.read_text().split() == ports
            below = psutil.Process(raylet.pid).children(recursive=True)
            below[-1].kill()
        wait_for(lambda: len(starts.read_text().split()) == 3, 30, "the agent again")
        below = psutil.Process(raylet.pid).children(recursive=True)
        assert len(below) == 2
    finally:
        os.kill(raylet.pid, signal.SIGKILL)
        raylet.wait()
    _, alive = psutil.wait_procs(below, 20)
    assert alive == []
