"""Ray for one server: a small local instance that is watched and removed completely, or a cluster that is joined."""

from __future__ import annotations

import errno
import logging
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil
import ray
from ray.exceptions import RayError

from serve_app.errors import StackError
from serve_app.launch import ray_folders
from serve_app.launch.ray_private import SERVE_NAMESPACE, agent_kept, dead_processes

OBJECT_STORE_BYTES = 200_000_000
"""Ray's default is 30 % of the memory; a turn's audio passes between stages in pieces far below 1 MB."""
REACH_S = 5.0
START_ERRORS = (RuntimeError, ConnectionError, OSError, ValueError, TimeoutError, RayError)
GRACE_S = 3.0
"""How long Ray's processes may take to end by themselves after a shutdown."""
VITAL = ("gcs_server", "raylet")
"""Ray's own processes that a server cannot run without; Ray restarts the others or does without them."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The running instance.

    `dashboard` is the address for `parle deploy` and `parle status`, `metrics` that of this node's metrics for
    Prometheus; None where Ray runs neither. `logs` is the folder of Serve's logs.
    """

    dashboard: str | None
    logs: str
    metrics: str | None


def start(*, address: str | None, verbose: bool, metrics_port: int = 0) -> Cluster:
    """Start Ray here, or join the cluster at `address`.

    `metrics_port` is used where Ray is started here: 0 takes any free port.

    Raises:
        StackError: Ray does not start; the reason in one line.
    """
    if address is None:
        ray_folders.guard_token()
    try:
        if address is None:
            with agent_kept():
                context = ray.init(
                    "local",
                    namespace=SERVE_NAMESPACE,
                    include_dashboard=True,
                    object_store_memory=OBJECT_STORE_BYTES,
                    _metrics_export_port=metrics_port or None,
                    log_to_driver=verbose,
                    logging_level=logging.INFO if verbose else logging.ERROR,
                )
        else:
            _check_reachable(address)
            context = ray.init(address, namespace=SERVE_NAMESPACE, log_to_driver=verbose)
    except Exception as error:
        # Ray raises a bare Exception where a node does not come up in time; any other kind is a fault of ours.
        if not isinstance(error, START_ERRORS) and type(error) is not Exception:
            raise
        raise StackError(f"Ray does not start: {last_line(str(error))}") from error
    info = cast(Any, context).address_info
    if address is None:
        ray_folders.forget_old_logs(Path(info["session_dir"]))
    url = info.get("webui_url")
    logs = os.path.join(info["session_dir"], "logs", "serve")
    port = info.get("metrics_export_port") or 0
    # Whatever address the agent listens on, the loopback address reaches it.
    metrics = f"http://127.0.0.1:{port}/metrics" if port > 0 else None
    return Cluster(f"http://{url}" if url else None, logs, metrics)


def _check_reachable(address: str) -> None:
    """Fail at once where Ray itself would try for minutes; `auto` and `ray://...` are left to Ray.

    Raises:
        StackError: nothing listens at that HOST:PORT.
    """
    host, separator, port = address.rpartition(":")
    if separator and port.isdecimal() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=REACH_S).close()
        except OSError as error:
            raise StackError(f"no Ray cluster answers at {address}: {error.strerror or error}") from None


def dead() -> str | None:
    """Name of a vital Ray process, started here, that has ended; None while all run."""
    return next((name for name in dead_processes() if name in VITAL), None)


def stop() -> None:
    """Shut Ray down, give its processes a moment, and kill those that are left."""
    family = psutil.Process().children(recursive=True)
    ray.shutdown()
    _, alive = psutil.wait_procs(family, GRACE_S)
    _kill(alive)


def kill() -> None:
    """Kill every descendant of this process at once."""
    _kill(psutil.Process().children(recursive=True))


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def check_metrics_port(port: int) -> None:
    """Refuse a metrics port that is taken: Ray's agent would die, and Ray with it.

    Raises:
        StackError: it is taken or needs privileges.
    """
    if port:
        check_port("0.0.0.0", port, "METRICS_PORT=... or --metrics-port")


def check_port(host: str, port: int, setting: str = "PORT=... or --port") -> int:
    """The port to serve on: `port`, or a free one for 0. `setting` tells the user how to choose another.

    Ray's proxy would share the port with another listener, and each would get some of the clients, so it must be free.

    Raises:
        StackError: it is taken, needs privileges, or the host is not an address of this machine.
    """
    if not 0 <= port <= 65535:
        raise StackError(f"{setting.partition('=')[0]} must be between 0 and 65535, not {port}.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return probe.getsockname()[1]
    except OSError as error:
        reason = "something else listens there" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise StackError(
            f"cannot serve on {host}:{port}: {reason}; stop it, or choose another with {setting}"
        ) from None


def last_line(text: str) -> str:
    """The last line of a long message, which says what happened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
