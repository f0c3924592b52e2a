"""Carry out an image's recipe without a Docker engine: each stage in a root of its own, made by debootstrap.

    sudo python deploy/docker/rehearse.py FOLDER [--target cpu] [--again] [--run] [--share PATH ...]

Debian's own Python 3.11 stands in for the base image (Debian too). Every RUN, COPY, ENV, WORKDIR and USER of the
Dockerfile is done as it stands there; `--run` then starts the ENTRYPOINT with the CMD as the image's USER, waits for
the HEALTHCHECK, speaks one turn and sends the STOPSIGNAL. `--share` gives the roots a file or folder of this machine
(pip's settings, a certificate). Needs root, debootstrap, and some 8 GB in FOLDER.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from dockerfile_parse import DockerfileParser

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILE = Path(__file__).with_name("Dockerfile")
DEBIAN = "bookworm"
PACKAGES = "ca-certificates,python3,python3-venv"
SHELL = '["/bin/sh", "-c"]'
"""Docker's, where the file names none."""
HEALTHY_S = 240
MOUNTS = (Path("/proc"), Path("/dev"), Path("/etc/resolv.conf"))
CACHE = "root/.cache/pip"
IN_PRIVATE = "PARLE_REHEARSAL_MOUNTS"


@dataclass
class Stage:
    """What a stage has come to: its root, and what the next instruction inherits."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "root"
    ends: dict[str, str] = field(default_factory=dict)
    """The latest ENTRYPOINT, CMD, HEALTHCHECK, SHELL and STOPSIGNAL, as they stand in the file."""


def instructions(text: str) -> list[tuple[str, str]]:
    """Every instruction of a Dockerfile with its arguments, continued lines joined."""
    parser = DockerfileParser(
        fileobj=cast(Any, io.BytesIO(text.encode()))
    )  # its annotation asks for text, its code for bytes
    return [(step["instruction"], step["value"]) for step in parser.structure if step["instruction"] != "COMMENT"]


def needed(steps: list[tuple[str, str]], target: str) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """The stages that `target` is made of, in the file's order: name, what it is FROM, its instructions."""
    stages: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    for instruction, value in steps:
        if instruction == "FROM":
            base, _, name = value.partition(" AS ")
            stages[name] = (base, [])
        elif stages:
            next(reversed(stages.values()))[1].append((instruction, value))
    wanted, open_ = set(), [target]
    while open_:
        name = open_.pop()
        wanted.add(name)
        base, inside = stages[name]
        sources = [word.removeprefix("--from=") for step, value in inside if step == "COPY" for word in value.split()]
        open_ += [source for source in (base, *sources) if source in stages and source not in wanted]
    return {name: stage for name, stage in stages.items() if name in wanted}


class Rehearsal:
    """The stages that are done, below one folder."""

    def __init__(self, folder: Path, shared: list[Path]) -> None:
        self.folder = folder
        self.shared = shared
        self.done: dict[str, Stage] = {}

    def base(self) -> Stage:
        """What stands in for the image that the first stage is FROM."""
        root = self.folder / "debian"
        if not (root / "usr/bin/python3").exists():
            subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", DEBIAN, root], check=True)
            (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        return Stage(root, {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})

    def build(self, name: str, base: str, steps: list[tuple[str, str]], *, again: bool = False) -> None:
        """One stage, on a copy of what it is FROM; `again` takes the files as an earlier rehearsal left them."""
        before = self.done.get(base) or self.base()
        root = self.folder / name
        say(f"{name}: FROM {base}")
        if again:
            steps = [(instruction, value) for instruction, value in steps if instruction not in ("RUN", "COPY")]
        else:
            shutil.rmtree(root, ignore_errors=True)
            subprocess.run(["cp", "--archive", "--reflink=auto", before.root, root], check=True)
        stage = replace(before, root=root, env=dict(before.env), ends=dict(before.ends))
        with self.mounted(root):
            for instruction, value in steps:
                started = time.monotonic()
                self.step(stage, instruction, value)
                say(f"{name}: {instruction} {' '.join(value.split())[:90]}  ({time.monotonic() - started:.1f} s)")
        self.done[name] = stage

    @contextmanager
    def mounted(self, root: Path) -> Iterator[None]:
        """/proc, /dev, the cache and what is shared, in the root while the block runs and never copied with it."""
        cache = self.folder / "cache"
        cache.mkdir(exist_ok=True)
        inside = {root / path.relative_to("/"): path for path in (*MOUNTS, *self.shared)} | {root / CACHE: cache}
        for place, path in inside.items():
            if path.is_dir():
                place.mkdir(parents=True, exist_ok=True)
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.touch()
            subprocess.run(["mount", "--rbind", path, place], check=True)
        try:
            yield
        finally:
            for place in reversed(inside):
                subprocess.run(["umount", "--recursive", "--lazy", place], check=True)

    def step(self, stage: Stage, instruction: str, value: str) -> None:
        match instruction:
            case "RUN":
                script = re.sub(rf"--mount=type=cache,target=/{CACHE}\s+", "", value)
                self.run(stage, [*json.loads(stage.ends.get("SHELL", SHELL)), script], check=True)
            case "COPY":
                self.copy(stage, value)
            case "ENV":
                pairs = (word.split("=", 1) for word in shlex.split(value))
                stage.env |= {key: re.sub(r"\$\{?(\w+)\}?", lambda m: stage.env.get(m[1], ""), v) for key, v in pairs}
            case "WORKDIR":
                stage.workdir = os.path.join(stage.workdir, value)
                (stage.root / stage.workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "USER":
                stage.user = value
            case "EXPOSE":
                pass
            case "ENTRYPOINT" | "CMD" | "HEALTHCHECK" | "SHELL" | "STOPSIGNAL":
                stage.ends[instruction] = value
            case _:
                raise SystemExit(f"{instruction}: an instruction that the rehearsal does not know")

    def copy(self, stage: Stage, value: str) -> None:
        words = value.split()
        flags = dict(word.removeprefix("--").split("=", 1) for word in words if word.startswith("--"))
        *sources, target = (word for word in words if not word.startswith("--"))
        context = self.done[flags["from"]].root if "from" in flags else REPOSITORY
        place = stage.root / os.path.join(stage.workdir, target).lstrip("/")
        for source in sources:
            path = context / source.lstrip("/")
            into = place / path.name if target.endswith("/") and path.is_file() else place
            if path.is_dir():
                # A layer keeps whole seconds of a file's time; so does this.
                shutil.copytree(
                    path, into, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
                )
                for file in into.rglob("*"):
                    if not file.is_symlink():
                        whole = int(file.stat().st_mtime)
                        os.utime(file, (whole, whole))
            else:
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, into)
        if "chown" in flags:
            self.run(stage, ["chown", "-R", flags["chown"], os.path.join(stage.workdir, target)], check=True)

    def run(self, stage: Stage, command: list[str], *, check: bool = False) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.command(stage, command), env=self.environment(stage), check=check)

    def command(self, stage: Stage, command: list[str]) -> list[str]:
        inside = f"cd {shlex.quote(stage.workdir)} && exec {shlex.join(command)}"
        return ["chroot", f"--userspec={stage.user}", str(stage.root), "/bin/sh", "-c", inside]

    def environment(self, stage: Stage) -> dict[str, str]:
        settings = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        people = [line.split(":") for line in (stage.root / "etc/passwd").read_text("utf-8").splitlines()]
        home = next(person[5] for person in people if stage.user.partition(":")[0] in (person[0], person[2]))
        return {**settings, "HOME": home, **stage.env}

    def serve(self, stage: Stage) -> None:
        """The container: started, healthy, one turn, stopped as Docker stops it."""
        command = [*json.loads(stage.ends["ENTRYPOINT"]), *json.loads(stage.ends["CMD"])]
        check = json.loads(stage.ends["HEALTHCHECK"].partition("CMD ")[2])
        started = time.monotonic()
        server = subprocess.Popen(self.command(stage, command), env=self.environment(stage))
        try:
            while self.run(stage, check).returncode:
                if server.poll() is not None or time.monotonic() - started > HEALTHY_S:
                    raise SystemExit("the container did not become healthy")
                time.sleep(2)
            say(f"healthy after {time.monotonic() - started:.1f} s")
            turn = (
                "from serve_app.launch.child_process import warm_up; "
                "print('one turn:', warm_up('http://127.0.0.1:8000'), 'ms')"
            )
            self.run(stage, ["python", "-c", turn], check=True)
        finally:
            server.send_signal(signal.Signals[stage.ends["STOPSIGNAL"]])
            say(f"stopped: exit code {server.wait(60)}")


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--again", action="store_true", help="do not build: take what is in FOLDER")
    parser.add_argument("--run", action="store_true", help="start the image's command, speak to it, stop it")
    parser.add_argument("--share", type=Path, action="append", default=[], metavar="PATH")
    chosen = parser.parse_args()
    if IN_PRIVATE not in os.environ:  # once more, with mounts of our own that end with us
        command = ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv]
        os.execvpe(command[0], command, {**os.environ, IN_PRIVATE: "1"})
    chosen.folder.mkdir(parents=True, exist_ok=True)
    rehearsal = Rehearsal(chosen.folder.resolve(), chosen.share)
    for name, (base, steps) in needed(instructions(DOCKERFILE.read_text("utf-8")), chosen.target).items():
        rehearsal.build(name, base, steps, again=chosen.again)
    stage = rehearsal.done[chosen.target]
    entry = json.loads(stage.ends["ENTRYPOINT"])
    with rehearsal.mounted(stage.root):
        rehearsal.run(stage, [*entry, "check", json.loads(stage.ends["CMD"])[-1]], check=chosen.target == "cpu")
        if chosen.run:
            rehearsal.serve(stage)


if __name__ == "__main__":
    main()
