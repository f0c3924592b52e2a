"""One local Ray instance around one server: started small, watched, and gone without a trace afterwards."""

from __future__ import annotations

import errno
import logging
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import psutil
import ray
from ray.exceptions import RayError

from serve_app.errors import StackError
from serve_app.launch.ray_private import SERVE_NAMESPACE, dead_processes

OBJECT_STORE_BYTES = 200_000_000
"""Ray would take 30 % of the memory; one turn's audio passes between stages in pieces far below 1 MB."""
REACH_S = 5.0
LAST_BREATH_S = 3.0
"""What Ray's processes get to end by themselves once it is shut down."""
VITAL = ("gcs_server", "raylet")
"""Ray's own processes without which nothing serves; it restarts the others or lives without them."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The running instance. `dashboard` is where `serve deploy` and `serve status` talk to, if anywhere.

    `metrics` is where this node's metrics are, for Prometheus; None where Ray collects none.
    """

    dashboard: str | None
    logs: str
    metrics: str | None


def start(*, address: str | None, verbose: bool, metrics_port: int = 0) -> Cluster:
    """Start Ray here, or join the cluster at `address`.

    `metrics_port` is for a Ray of our own: 0 takes any free port.

    Raises:
        StackError: it does not start; the reason in one line.
    """
    try:
        if address is None:
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
    except (RuntimeError, ConnectionError, OSError, ValueError, TimeoutError, RayError) as error:
        raise StackError(f"Ray does not start: {last_line(str(error))}") from error
    info = cast(Any, context).address_info
    url = info.get("webui_url")
    logs = os.path.join(info["session_dir"], "logs", "serve")
    port = info.get("metrics_export_port") or 0
    # Of whatever address the agent listens on, this machine's own is one.
    metrics = f"http://127.0.0.1:{port}/metrics" if port > 0 else None
    return Cluster(f"http://{url}" if url else None, logs, metrics)


def _check_reachable(address: str) -> None:
    """Ray itself would try for minutes. `auto` and `ray://` it must find by itself.

    Raises:
        StackError: nothing listens at that HOST:PORT.
    """
    host, separator, port = address.rpartition(":")
    if separator and port.isdecimal() and "/" not in host:
        try:
            socket.create_connection((host, int(port)), timeout=REACH_S).close()
        except OSError as error:
            raise StackError(f"no Ray cluster answers at {address}: {error.strerror or error}") from None


def auth_mode() -> str:
    """What a second shell must set RAY_AUTH_MODE to. Where nobody chose, Ray has set it to "token" in this process."""
    return os.environ.get("RAY_AUTH_MODE", "token")


def dead() -> str | None:
    """The name of a vital process of ours that has ended, None while all live."""
    return next((name for name in dead_processes() if name in VITAL), None)


def stop() -> None:
    """Shut Ray down and give its processes a moment; those that lost their parent meanwhile are ended."""
    family = psutil.Process().children(recursive=True)
    ray.shutdown()
    _, alive = psutil.wait_procs(family, LAST_BREATH_S)
    _kill(alive)


def kill() -> None:
    """End every process below this one at once, whatever state it is in."""
    _kill(psutil.Process().children(recursive=True))


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def check_metrics_port(port: int) -> None:
    """Refuse a port for the metrics that is taken: Ray's agent would die of it, and Ray with the agent.

    Raises:
        StackError: it is taken or not ours to take.
    """
    if port:
        check_port("0.0.0.0", port, "METRICS_PORT=... or --metrics-port")


def check_port(host: str, port: int, setting: str = "PORT=... or --port") -> int:
    """The port to serve on: `port`, or a free one for 0. `setting` is how to choose another.

    Ray's proxy shares its port with whoever listens there already, and the two would split
    the clients between them: so it must be free.

    Raises:
        StackError: it is taken, not ours to take, or the host is no address of this machine.
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
    """The line of a long message that says what happened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
