"""What is open on a real card, in ten minutes: the engines alone and side by side, the whole stacks, kill and recovery.

    python -m bench.gpu --out results            # everything that is at hand
    python -m bench.gpu --list                   # the parts
    python -m bench.gpu --parts stack,faults --seconds stack=200
    python -m bench.gpu --table results          # the tables of an earlier run

Where the hub is away the models are made at their real size with random weights: figures of speed and memory
hold, and nothing is said of quality. Each part runs in a process of its own, has its time, and leaves out what is not
at hand (Ray, vLLM, a voice's library, MPS); an older vLLM will do. Rows are kept as they come, so a run that is cut
loses nothing.

`--tiny` rehearses the same on a CPU, with miniatures.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.metadata
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from .gpu_table import tables

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Entry:
    """A part: the function that does it, the seconds it may take, and whether it is part of a run without `--parts`."""

    function: str
    seconds: float
    shows: str
    usual: bool = True


PARTS: Mapping[str, Entry] = {
    "vllm": Entry("gpu_vllm:vllm", 150, "vLLM with Ministral alone: start, first token, 1 to 16 replies", usual=False),
    "stack": Entry("gpu_stack:stack", 140, "the modal stack, time slicing: turns, 1 to 16 learners, memory, kills"),
    "stack-mps": Entry("gpu_stack:stack_mps", 190, "the same under MPS"),
    "sharing": Entry("gpu_sharing:time_slicing", 60, "who slows whom, 1 to 16 learners: time slicing"),
    "sharing-mps": Entry("gpu_sharing:mps", 60, "the same under MPS"),
    "faults": Entry("gpu_faults:faults", 70, "MPS: a client killed, ended, faulting; its memory limit"),
    "stt": Entry("gpu_alone:stt", 30, "Whisper: warm?, cuDNN, window, decoder as a CUDA graph"),
    "qwen3": Entry("gpu_alone:qwen3_tts", 15, "Qwen3-TTS: warm?"),
    "kokoro": Entry("gpu_alone:kokoro", 15, "Kokoro: warm?, new lengths, several learners at once"),
    "local-stack": Entry("gpu_stack:local_stack", 120, "the local stack with Ministral", usual=False),
}
SIDE_BY_SIDE = ("stt", "qwen3", "kokoro")
"""These import together and take turns on the card."""
SPARE_S = 15.0
"""How much longer a part may take to end."""
CHECKPOINTS = ("turbo", "qwen3", "kokoro", "ministral")


def chosen(names: str | None) -> list[str]:
    """The parts of `--parts`, in that order.

    Raises:
        SystemExit: there is no such part.
    """
    if names is None:
        return [name for name, entry in PARTS.items() if entry.usual]
    found = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in found if name not in PARTS]:
        raise SystemExit(f"no part '{unknown[0]}'; there are: {', '.join(PARTS)}")
    return found


def limits(texts: Sequence[str]) -> dict[str, float]:
    """`PART=SECONDS` of the command line over the parts' own."""
    found = {name: entry.seconds for name, entry in PARTS.items()}
    for text in texts:
        name, _, seconds = text.partition("=")
        [name] = chosen(name)
        found[name] = float(seconds)
    return found


def groups(names: Sequence[str]) -> list[list[str]]:
    """The parts that run one after the other; those of a group run at once."""
    found: list[list[str]] = []
    for name in names:
        if found and name in SIDE_BY_SIDE and found[-1][0] in SIDE_BY_SIDE:
            found[-1].append(name)
        else:
            found.append([name])
    return found


def run_part(name: str, limit_s: float, options: argparse.Namespace) -> dict[str, Any]:
    """Run a part in a process of its own, which is ended when its time is over; how it ended."""
    command = [
        sys.executable,
        "-m",
        "bench.gpu",
        "--run",
        name,
        "--out",
        str(options.out),
        "--seconds",
        f"{name}={limit_s}",
    ]
    command += ["--models", str(options.models), *(["--tiny"] if options.tiny else [])]
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment |= {"HF_HUB_OFFLINE": "1"} if options.offline else {}
    with (options.out / f"{name}.out").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(limit_s + SPARE_S)
            ended = "" if code == 0 else f"ended with {code}"
        except subprocess.TimeoutExpired:
            ended = f"cut after {limit_s:.0f} s"
        for member in _family(process.pid):  # its workers too, and a server that it could not stop
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait()
    found: dict[str, Any] = {"seconds": round(time.monotonic() - began, 1), "rows": rows(options.out, name)}
    if ended:
        found |= {"ended": ended, "output": (options.out / f"{name}.out").read_text("utf-8", "replace")[-3000:]}
    return found


def _family(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [*process.children(recursive=True), process]
    return []


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    file = folder / f"{name}.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []


def make_checkpoints(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """All of them at once, each in a process."""
    options.models.mkdir(parents=True, exist_ok=True)
    tiny = ["--tiny"] if options.tiny else []
    with ThreadPoolExecutor(len(names)) as pool:
        runs = pool.map(
            lambda name: subprocess.run(
                [sys.executable, "-m", "bench.gpu_checkpoints", name, str(options.models), *tiny],
                cwd=ROOT,
                capture_output=True,
                text=True,
            ),
            names,
        )
        return {
            name: done.stdout.strip().splitlines()[-1] if done.returncode == 0 else done.stderr[-1500:]
            for name, done in zip(names, runs, strict=True)
        }


def machine() -> dict[str, Any]:
    """What it ran on."""
    found: dict[str, Any] = {"python": sys.version.split()[0], "cpus": os.cpu_count()}
    for module in ("torch", "transformers", "vllm", "ray", "faster_qwen3_tts", "kokoro"):
        try:
            found[module] = importlib.metadata.version(module.replace("_", "-"))
        except importlib.metadata.PackageNotFoundError:
            found[module] = None
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        found["card"] = subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.strip()
    except OSError:
        found["card"] = None
    return found


def save(results: Mapping[str, Any], folder: Path) -> None:
    (folder / "results.json").write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n", "utf-8")


def run(options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + options.budget
    seconds = limits(options.seconds)
    results: dict[str, Any] = {"machine": machine(), "tiny": options.tiny, "parts": {}}
    save(results, options.out)
    wanted = options.checkpoints.split(",") if options.checkpoints else []
    results["checkpoints"] = make_checkpoints(options, wanted) if wanted else {}
    print(json.dumps({"machine": results["machine"], "checkpoints": results["checkpoints"]}), flush=True)
    for group in groups(chosen(options.parts)):
        left = until - time.monotonic()
        if left < 20:
            results["parts"] |= {name: {"ended": "no time left", "rows": []} for name in group}
            continue
        with ThreadPoolExecutor(len(group)) as pool:
            together = {name: min(sum(seconds[one] for one in group), left - 15) for name in group}
            runs = {name: pool.submit(run_part, name, together[name], options) for name in group}
            results["parts"] |= {name: one.result() for name, one in runs.items()}
        for name in group:
            print(
                f"{name}: {results['parts'][name]['seconds']} s {results['parts'][name].get('ended', '')}", flush=True
            )
        save(results, options.out)
    save(results, options.out)
    print(tables(results))


def run_here(name: str, options: argparse.Namespace) -> None:
    """The part itself, in its own process."""
    from .gpu_part import Part

    module, _, function = PARTS[name].function.partition(":")
    part = Part(name, options.out, options.models, limits(options.seconds)[name], options.tiny)
    getattr(importlib.import_module(f"bench.{module}"), function)(part)
    part.row(what="end", seconds=round(time.monotonic() - part.began, 1))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(".parle/gpu"), help="folder for results.json, rows and logs")
    parser.add_argument("--parts", help="some parts only, in this order, with commas between")
    parser.add_argument("--seconds", action="append", default=[], metavar="PART=S", help="another time for a part")
    parser.add_argument("--budget", type=float, default=510, help="seconds for everything")
    parser.add_argument("--models", type=Path, default=Path("/dev/shm/parle-gpu"), help="folder of the checkpoints")
    parser.add_argument(
        "--checkpoints", default=",".join(CHECKPOINTS), help="which to make if they are not there; '' for none"
    )
    parser.add_argument("--online", dest="offline", action="store_false", help="the hub may be asked")
    parser.add_argument("--tiny", action="store_true", help="miniatures: a rehearsal on a CPU")
    parser.add_argument("--list", action="store_true", help="the parts, and what each shows")
    parser.add_argument("--table", type=Path, metavar="FOLDER", help="print the tables of an earlier run")
    parser.add_argument("--run", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.out, options.models = options.out.absolute(), options.models.absolute()
    if options.list:
        for name, entry in PARTS.items():
            print(f"{name:12} {entry.seconds:4.0f} s  {entry.shows}{'' if entry.usual else '  (only if named)'}")
    elif options.table:
        print(tables(json.loads((options.table / "results.json").read_text("utf-8"))))
    elif options.run:
        run_here(options.run, options)
    else:
        run(options)


if __name__ == "__main__":
    main()
