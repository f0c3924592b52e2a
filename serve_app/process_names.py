"""Names of processes, by which another one on the same machine sees that one has died: in leases and in calls."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

import psutil


def new_name() -> str:
    """Machine, process, when that began, and a random part: two stores of one process have different names."""
    return f"{name_of(os.getpid())} {secrets.token_hex(4)}"


def name_of(process: int) -> str:
    """The machine, the process, and when that began."""
    return " ".join((_machine(), str(process), _began(process)))


def has_died(name: str) -> bool:
    """Whether that process is certainly gone; False for one on another machine, of which nothing is known."""
    machine, process, began = (*name.split(" "), "", "", "")[:3]
    return machine == _machine() and process.isdigit() and _began(int(process)) != began


def _machine() -> str:
    """This boot of this machine, and the container: process numbers mean something within it only."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _began(process: int) -> str:
    try:
        return f"{psutil.Process(process).create_time():.2f}"
    except psutil.Error:
        return "-"
