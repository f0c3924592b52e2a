"""What only a card can say about MPS: `python bench/mps_card.py`, about 40 s, with torch and no Ray.

Each line of the output is one answer; docs/sharing.md says what follows from it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
CLIENT = r"""
import os, sys, time, torch
mode = sys.argv[1]
def say(*words):
    print(*words, flush=True)
try:
    a = torch.randn(2048, 2048, device="cuda"); torch.cuda.synchronize()
    free, total = torch.cuda.mem_get_info()
    say("ready", os.getpid(), "free %d total %d properties %d MiB"
        % (free >> 20, total >> 20, torch.cuda.get_device_properties(0).total_memory >> 20))
    if mode == "limit":
        blocks = []
        try:
            while True:
                blocks.append(torch.empty(64 << 20, dtype=torch.uint8, device="cuda"))
        except torch.OutOfMemoryError:
            say("refused after %d MiB" % (64 * len(blocks) + 16))
    if mode == "fault":
        time.sleep(1)
        try:
            torch.zeros(4, device="cuda")[torch.tensor([1 << 40], device="cuda")].cpu()
        except RuntimeError as error:
            say("own fault:", str(error).splitlines()[0])
        os._exit(1)
    until = time.time() + float(sys.argv[2])
    while time.time() < until:
        for _ in range(20):
            a = (a @ a).clamp(-1, 1)
        torch.cuda.synchronize()
    say("lived to the end", mode)
except RuntimeError as error:
    say("died:", mode, type(error).__name__, str(error).splitlines()[0])
    os._exit(3)
"""


def say(*words: object) -> None:
    print(f"{time.time() - BEGAN:6.1f}", *words, flush=True)


BEGAN = time.time()


def ask(command: str, limit_s: float = 15) -> str:
    try:
        done = subprocess.run(
            [CONTROL], input=command + "\n", capture_output=True, text=True, timeout=limit_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"<{error}>"
    return f"rc {done.returncode} {(done.stdout + done.stderr).strip()!r}"


def start_client(mode: str, seconds: float, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, mode, str(seconds)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ready(client: subprocess.Popen[str]) -> str:
    assert client.stdout is not None
    return client.stdout.readline().strip()


def rest(client: subprocess.Popen[str], limit_s: float = 12) -> str:
    try:
        out, _ = client.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        client.kill()
        out, _ = client.communicate()
        return f"HANGS; {out.strip()!r}"
    return f"rc {client.returncode} {' | '.join(out.strip().splitlines()[-2:])!r}"


def used() -> str:
    query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader"]
    return " ; ".join(subprocess.run(query, capture_output=True, text=True, check=False).stdout.split("\n"))


def begin() -> str:
    """Start the daemon and a server; the server's process id."""
    done = subprocess.run([CONTROL, "-d"], capture_output=True, text=True, timeout=15, check=False)
    say("daemon", done.returncode, (done.stdout + done.stderr).strip())
    say("no server: list", ask("get_server_list"), "status of 1:", ask("get_server_status 1"))
    say("start_server", ask(f"start_server -uid {os.getuid()}"))
    server = ""
    for _ in range(20):
        server = ask("get_server_list").partition(" '")[2].strip("'").partition("\\n")[0]
        if server.isdigit():
            break
        time.sleep(0.25)
    say("server", server, "status", ask(f"get_server_status {server}"))
    return server


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="mps-"))
    lone = start_client("alone", 0.2)
    say("without MPS:", ready(lone), "| smi", used())
    rest(lone)
    os.environ |= {"CUDA_MPS_PIPE_DIRECTORY": str(folder), "CUDA_MPS_LOG_DIRECTORY": str(folder)}
    say("nobody there:", ask("get_server_list"))
    server = begin()

    limited = start_client("limit", 0.2, CUDA_MPS_PINNED_DEVICE_MEM_LIMIT="0=4000M")
    say("limit 4000M:", ready(limited), "|", rest(limited))
    one, two = start_client("one", 9), start_client("two", 9)
    say("clients:", ready(one), "|", ready(two), "| list", ask(f"get_client_list {server}"), "| smi", used())
    say("ps", ask("ps"))

    say("terminate_client", ask(f"terminate_client {server} {two.pid}"))
    say("  terminated:", rest(two, 5), "| status", ask(f"get_server_status {server}"))
    say("  survivor:", rest(one))

    one, two = start_client("one", 7), start_client("two", 30)
    say("  two at work:", ready(one), ready(two))
    os.kill(two.pid, signal.SIGKILL)
    time.sleep(0.5)
    say("SIGKILL: status", ask(f"get_server_status {server}"), "list", ask(f"get_client_list {server}"))
    new = start_client("new", 1)
    say("  newcomer:", ready(new), rest(new))
    say("  survivor:", rest(one))

    one, bad = start_client("one", 6), start_client("fault", 1)
    say("  two at work:", ready(one), ready(bad))
    say("fault:", rest(bad))
    say("  status", ask(f"get_server_status {server}"), "list", ask(f"get_client_list {server}"))
    new = start_client("new", 0.5)
    say("  newcomer while a client lives:", ready(new), rest(new, 4))
    say("  other:", rest(one))
    time.sleep(1)
    new = start_client("new", 0.5)
    say("  newcomer after all left:", ready(new), rest(new), "| list", ask("get_server_list"))

    left = start_client("left", 20)
    ready(left)
    before = time.time()
    say("quit -t 1:", ask("quit -t 1"), f"{time.time() - before:.1f} s; client", rest(left, 4))
    begin()
    new = start_client("new", 0.5)
    say("started again:", ready(new), rest(new), "| quit", ask("quit -t 1"))
    for log in ("control.log", "server.log"):
        for line in (folder / log).read_text("utf-8", "replace").splitlines()[-25:]:
            say(log, line)


if __name__ == "__main__":
    main()
