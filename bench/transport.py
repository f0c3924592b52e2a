"""What takes the connections, two ways in one run: Ray Serve's own proxy, or HAProxy with handles tuned for throughput.

Measured are round trips that need no model, since a turn's own seconds hide milliseconds, and
then whole turns of the CPU stack.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

from .recordings import recordings
from .server import serving, turn

WAYS = ("ray", "haproxy")
GREEDY = {"TutorLLM": {"sampling": {"temperature": 0.0}}}
ROUND_TRIPS = 300
TURNS = 5


def measure(way: str) -> dict[str, float]:
    """Milliseconds: medians, and the 95th percentile of the round trips."""
    with serving(GREEDY, options=["--transport", way]) as server:
        http = [_http(client, server.url) for client in [httpx.Client()] for _ in range(ROUND_TRIPS)]
        with connect(server.url.replace("http", "ws", 1) + "/ws/stream") as socket:
            echo = [_settings(socket) for _ in range(ROUND_TRIPS)]
        turns = [turn(server.url, recording, f"bench-{way}") for recording in recordings(TURNS)]
        stopping = time.perf_counter()
    return {
        "http_ms": 1000 * statistics.median(http),
        "http_p95_ms": 1000 * statistics.quantiles(http, n=20)[-1],
        "websocket_ms": 1000 * statistics.median(echo),
        "websocket_p95_ms": 1000 * statistics.quantiles(echo, n=20)[-1],
        "first_audio_ms": 1000 * statistics.median(heard.first_audio_s for heard in turns),
        "ready_s": server.ready_s,
        "stop_s": time.perf_counter() - stopping,
    }


def _http(client: httpx.Client, url: str) -> float:
    started = time.perf_counter()
    client.get(f"{url}/healthz").raise_for_status()
    return time.perf_counter() - started


def _settings(socket: Any) -> float:
    started = time.perf_counter()
    socket.send(json.dumps({"type": "settings", "speed": 1.0}))
    socket.recv()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures as JSON")
    arguments = parser.parse_args()
    result = {way: measure(way) for way in WAYS}
    for name in result["ray"]:
        ray, haproxy = (result[way][name] for way in WAYS)
        print(f"{name:18} ray {ray:8.2f}   haproxy {haproxy:8.2f}   ratio {haproxy / ray:.2f}")
    if arguments.save:
        arguments.save.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
