"""Time until `parle serve` is ready on the CPU stack, split into parts, with files in the page cache and without.

The parts come from the lines that `parle serve` prints (seconds since its process started), the time of each replica
from Serve's JSON logs. Before a cold start the environment and the weights are dropped from the page cache with
posix_fadvise(DONTNEED), which needs no root; pages that another process maps stay. Keep the machine idle for its three
minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serve_app.errors import StackError
from serve_app.launch import child_process
from serve_app.weights.model_names import cache_folder

from .server import STACK, STOP_S

RUNS = 3
PROMISED_S = 25.0
LINE = re.compile(r"^\s*(?P<seconds>[\d.]+) s  (?P<step>.+)$")
READY = re.compile(r"^ready in (?P<seconds>[\d.]+) s at ")
LOGS = re.compile(r"^\s*logs\s+(?P<path>\S.*)$")
IMPORTS = (
    "from serve_app.cli import main; from serve_app.config import lint; "
    "from serve_app.launch import preflight, ray_cluster, server"
)
"""What `parle serve` imports before it starts Ray."""
INITIALISED = "Finished initializing replica"


def steps(output: str) -> dict[str, float]:
    """Seconds of each step that `parle serve` printed, and of `ready`."""
    said: dict[str, float] = {}
    for line in output.splitlines():
        if found := LINE.match(line):
            said[found["step"]] = float(found["seconds"])
        elif found := READY.match(line):
            said["ready"] = float(found["seconds"])
    return said


def split(said: dict[str, float], environment_s: float, imports_s: float) -> dict[str, float]:
    """Seconds of each part; they add up to ready. Joining the weights runs while Ray starts and has no part of its own.

    `ray` is the time before "Ray is up" that is neither interpreter nor imports.
    """
    parts = {
        "environment": environment_s,
        "imports": imports_s,
        "ray": said["Ray is up"] - environment_s - imports_s,
        "serve": said["Serve is up"] - said["Ray is up"],
    }
    up = sorted((at, name.removesuffix(" is up")) for name, at in said.items() if name.endswith(" is up"))
    first, last = next(at for at, name in up if name not in ("Ray", "Serve")), up[-1][0]
    return {
        **parts,
        "first stage up": first - said["Serve is up"],
        "last stage up (weights, warm-up)": last - first,
        "routes": said["ready"] - last,
    }


def replicas(folder: Path) -> dict[str, float]:
    """Seconds from the first line of each replica's log to the end of its constructor and warm-up."""
    took: dict[str, float] = {}
    for path in folder.rglob("replica_*.log"):
        first = None
        for record in _records(path):
            first = record["timestamp_ns"] if first is None else first
            if INITIALISED in record["message"]:
                took[record["deployment"]] = (record["timestamp_ns"] - first) / 1e9
    return took


def _records(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text("utf-8", "replace").splitlines():
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict) and {"timestamp_ns", "message", "deployment"} <= record.keys():
                yield record


def forget_files() -> None:
    """Drop the files of the environment and the weights from the page cache."""
    os.sync()  # a dirty page is not dropped
    for root in (Path(sys.prefix), cache_folder()):
        for path in root.rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file():
                    descriptor = os.open(path, os.O_RDONLY)
                    try:
                        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                    finally:
                        os.close(descriptor)


def python_s(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - started


def start() -> dict[str, Any]:
    """One start and stop of the server."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("wb") as output:
            server = child_process.start(STACK, host="127.0.0.1", port=0, output=output)
        try:
            child_process.await_that(server, lambda: "ready" in steps(log.read_text("utf-8")), child_process.READY_S)
        except StackError as error:
            error.add_note(log.read_text("utf-8")[-child_process.LOG_TAIL :])
            raise
        finally:
            child_process.stop(server, STOP_S)
        text = log.read_text("utf-8")
    logs = next((found["path"] for line in text.splitlines() if (found := LOGS.match(line))), None)
    return {"said": steps(text), "replicas": replicas(Path(logs)) if logs and Path(logs).is_dir() else {}}


def run(cold: bool) -> dict[str, Any]:
    """One run: interpreter and imports are timed separately first; if cold, the page cache is dropped before each."""
    if cold:
        forget_files()
    environment_s = python_s("pass")
    imports_s = python_s(IMPORTS) - environment_s
    if cold:
        forget_files()
    started = start()
    return {**started, "split": split(started["said"], environment_s, imports_s)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    run(cold=False)  # joins the weights if they are not, and fills the page cache
    result = {kind: [run(cold=kind == "cold") for _ in range(RUNS)] for kind in ("warm", "cold")}
    for kind, runs in result.items():
        print(f"{kind}: ready in {statistics.median(one['said']['ready'] for one in runs):.1f} s, median of {RUNS}")
        for part in runs[0]["split"]:
            print(f"  {part:34} {statistics.median(one['split'][part] for one in runs):6.1f} s")
        for name in runs[0]["replicas"]:
            print(f"  replica {name:26} {statistics.median(one['replicas'].get(name, 0.0) for one in runs):6.1f} s")
    if arguments.save:
        arguments.save.write_text(json.dumps({"promised_s": PROMISED_S, **result}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
