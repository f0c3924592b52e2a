"""NVIDIA's Multi-Process Service (MPS): its control daemon as this process may ask it, and a process's limit under it.

The commands and their answers are those of NVIDIA's "Multi-Process Service" manual. The daemon reads commands from the
standard input of `nvidia-cuda-mps-control`, which finds it by its pipe directory; CUDA programs find it by the same
environment variable, once, when CUDA is initialised.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from serve_app.errors import first_line
from serve_app.gpu.cards import MIB, present_cards, smallest

CONTROL = "nvidia-cuda-mps-control"
PIPE_VARIABLE = "CUDA_MPS_PIPE_DIRECTORY"
LOG_VARIABLE = "CUDA_MPS_LOG_DIRECTORY"
LIMIT_VARIABLE = "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"
DEFAULT_PIPE = Path("/tmp/nvidia-mps")
ANSWER_S = 10.0

_STATE = re.compile(r"\b(INITIALIZING|ACTIVE|FAULT)\b")
_PROCESS = re.compile(r"^\s*(\d+)\s*$", re.MULTILINE)


class MpsError(Exception):
    """MPS cannot be used, or does not answer; one readable clause."""


@dataclass(frozen=True, slots=True)
class Control:
    """The control daemon at one pipe directory, whether it runs or not."""

    pipe: Path

    def ask(self, command: str, limit_s: float = ANSWER_S) -> str:
        """The daemon's answer to one command.

        Raises:
            MpsError: there is no daemon, or it does not answer.
        """
        try:
            done = subprocess.run(
                [CONTROL],
                input=f"{command}\n",
                env={**os.environ, PIPE_VARIABLE: str(self.pipe)},
                capture_output=True,
                text=True,
                timeout=limit_s,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise MpsError(f"{CONTROL} does not answer: {first_line(error)}") from None
        if done.returncode:
            said = (done.stdout + done.stderr).strip() or f"exit code {done.returncode}"
            raise MpsError(f"no MPS answers in {self.pipe}: {said.splitlines()[0]}")
        return done.stdout.strip()

    def answers(self) -> bool:
        """Whether a daemon runs that this user may ask."""
        try:
            self.ask("get_server_list")
        except MpsError:
            return False
        return True

    def servers(self) -> list[int]:
        """Process ids of the servers, one for each user that has clients."""
        return _processes(self.ask("get_server_list"))

    def state(self, server: int) -> str:
        """INITIALIZING, ACTIVE or FAULT; what it says itself where that is none of them."""
        said = self.ask(f"get_server_status {server}")
        found = _STATE.search(said)
        return found[1] if found else said

    def clients(self, server: int) -> list[int]:
        """Process ids of a server's clients."""
        return _processes(self.ask(f"get_client_list {server}"))

    def terminate(self, server: int, client: int) -> None:
        """Take a client's work off the card, so that its process can be killed without harm to the other clients."""
        self.ask(f"terminate_client {server} {client}")

    def quit(self, after_s: int) -> None:
        """End the daemon and its servers; clients that are still there after so many seconds lose their server."""
        self.ask(f"quit -t {after_s}", limit_s=after_s + ANSWER_S)

    def end(self, processes: Iterable[int]) -> None:
        """Kill processes: those that are clients are taken off the card first."""
        wanted = set(processes)
        with suppress(MpsError):
            for server in self.servers():
                for client in wanted.intersection(self.clients(server)):
                    self.terminate(server, client)
        for process in wanted:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)


def _processes(answer: str) -> list[int]:
    return [int(number) for number in _PROCESS.findall(answer)]


def control_here() -> Control | None:
    """The daemon that CUDA programs of this process's environment would find; None where the variable is not set."""
    pipe = os.environ.get(PIPE_VARIABLE)
    return Control(Path(pipe)) if pipe else None


def leave() -> None:
    """End this process so that the other clients of its MPS server live."""
    control = control_here() or Control(DEFAULT_PIPE)
    control.end([os.getpid()])
    os.kill(os.getpid(), signal.SIGKILL)


def hold_to_share(share: float) -> None:
    """Under MPS, let the driver refuse this process and its children more than a share of their card's memory.

    Must be called before CUDA is initialised. The engines limit themselves to less; this is for what they do not count.
    """
    if not 0 < share < 1 or PIPE_VARIABLE not in os.environ or not (cards := present_cards()):
        return
    os.environ.setdefault(LIMIT_VARIABLE, f"0={int(share * smallest(cards).total_bytes) // MIB}M")
