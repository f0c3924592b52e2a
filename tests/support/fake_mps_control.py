#!/usr/bin/env python3
"""Stands in for `nvidia-cuda-mps-control`, as NVIDIA's manual describes it; `join` stands in for a CUDA program.

Without arguments it reads commands and passes them to the daemon of CUDA_MPS_PIPE_DIRECTORY; exit code 1 where there
is none. `-d` starts that daemon. A server is a process of its own. Of a client that was killed at work the manual says
that its server is undefined from then on; here it goes on, since nobody can know. FAKE_MPS=broken: no server becomes
ready.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

PIPE = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps"))
LOG = Path(os.environ.get("CUDA_MPS_LOG_DIRECTORY", "/var/log/nvidia-mps"))
MISSING = "Cannot find MPS control daemon process"


class Daemon:
    def __init__(self) -> None:
        self.server: subprocess.Popen[bytes] | None = None
        self.fault = False
        self.clients: dict[int, socket.socket] = {}
        self.pinned: dict[str, str] = {}

    def log(self, line: str) -> None:
        with (LOG / "control.log").open("a") as file:
            file.write(f"[Control {os.getpid()}] {line}\n")

    def start(self, uid: str) -> str:
        if self.server is None:
            self.log(f"Starting new server for user {uid}")
            if os.environ.get("FAKE_MPS") == "broken":
                (LOG / "server.log").write_text("[Server 7] Failed to initialize: operation not permitted\n")
                return ""
            self.server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        return ""

    def command(self, line: str) -> str:
        name, *words = line.split() or [""]
        server = str(self.server.pid) if self.server else ""
        match name:
            case "get_server_list":
                return server
            case "get_server_status" if words == [server]:
                return "FAULT" if self.fault else "ACTIVE"
            case "get_client_list" if words == [server]:
                return "\n".join(map(str, self.clients))
            case "ps":
                return "\n".join(["PID ID SERVER DEVICE NAMESPACE COMMAND", *(f"{p} 1 {server}" for p in self.clients)])
            case "start_server" if words[:1] == ["-uid"]:
                return self.start(words[1])
            case "set_default_device_pinned_mem_limit" if len(words) == 2:
                self.pinned[words[0]] = words[1]
                return ""
            case "terminate_client" if words[:1] == [server] and int(words[1]) in self.clients:
                self.log(f"terminate_client {words[1]}")
                self.drop(int(words[1]), b"terminated\n")
                return "0"
            case "quit":
                return self.quit(float(words[1]) if words[:1] == ["-t"] else None)
        return f"Unrecognized command or invalid argument: {line}"

    def drop(self, client: int, why: bytes = b"") -> None:
        connection = self.clients.pop(client, None)
        if connection is not None and why:
            connection.sendall(why)
        if not self.clients:
            self.fault = False  # the server makes its contexts anew once all clients have left

    def quit(self, after_s: float | None) -> str:
        patience = time.monotonic() + (after_s if after_s is not None else 1e9)
        while self.clients and time.monotonic() < patience:
            time.sleep(0.02)
        for client in list(self.clients):
            self.drop(client, b"server lost\n")
        if self.server:
            self.server.kill()
            self.server.wait()
        for name in ("control", "nvidia-cuda-mps-control.pid"):
            (PIPE / name).unlink(missing_ok=True)
        threading.Timer(0.05, os._exit, (0,)).start()
        return ""

    def serve(self, connection: socket.socket) -> None:
        file = connection.makefile("r")
        first = file.readline().strip()
        if not first.startswith("client "):
            connection.sendall(f"{self.command(first)}\n".encode())
            connection.close()
            return
        pid = int(first.split()[1])
        if self.fault:
            connection.sendall(b"CUDA_ERROR_MPS_SERVER_NOT_READY\n")
            connection.close()
            return
        self.start(str(os.getuid()))
        self.clients[pid] = connection
        connection.sendall(b"ready\n")
        for line in file:
            if line.strip() == "fault":
                self.fault = True
        self.drop(pid)


def start() -> int:
    PIPE.mkdir(parents=True, exist_ok=True)
    if (PIPE / "nvidia-cuda-mps-control.pid").exists():
        sys.stderr.write("An instance of this daemon is already running\n")
        return 1
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(PIPE / "control"))
    listening.listen(64)
    if (child := os.fork()) > 0:
        (PIPE / "nvidia-cuda-mps-control.pid").write_text(f"{child}\n")
        return 0
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nowhere, number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    daemon = Daemon()
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=daemon.serve, args=(connection,), daemon=True).start()


def pass_on() -> int:
    for line in sys.stdin:
        with socket.socket(socket.AF_UNIX) as daemon:
            try:
                daemon.connect(str(PIPE / "control"))
                daemon.sendall(line.encode())
                sys.stdout.write(daemon.makefile().read())
            except OSError:
                sys.stdout.write(f"{MISSING}\n")
                return 1
    return 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def join() -> int:
    """A CUDA program: says what it met, and its limit; then works until it is told something."""
    with socket.socket(socket.AF_UNIX) as daemon:
        try:
            daemon.connect(str(PIPE / "control"))
        except OSError:
            say("without MPS")
            time.sleep(3600)
        daemon.sendall(f"client {os.getpid()}\n".encode())
        file = daemon.makefile("rw")
        say(f"{file.readline().strip()} {os.environ.get('CUDA_MPS_PINNED_DEVICE_MEM_LIMIT', '')}")
        if "fault" in sys.argv:
            file.write("fault\n")
            file.flush()
        say(file.readline().strip() or "server lost")
        time.sleep(3600)
    return 0


if __name__ == "__main__":
    sys.exit({"-d": start, "join": join}.get("".join(sys.argv[1:2]), pass_on)())
