"""Environment variables that `parle serve` sets for Ray."""

from __future__ import annotations

RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "2",  # by default a dead proxy is missed only after 30 s
    "RAY_worker_niceness": "0",  # by default 15: any busy program beside the server would slow the models down
    # What its proxy does to requests first: no orders to Ray by headers, bounded uploads.
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.launch.proxy.middlewares",
    # uvicorn 0.54 never answers a WebSocket handshake that is over a limit of websockets (8192 bytes a header line, 128
    # lines). They guard nothing there: uvicorn's own parser, which has no limit, has read the headers before.
    "WEBSOCKETS_MAX_LINE_LENGTH": str(2**30),
    "WEBSOCKETS_MAX_NUM_HEADERS": str(2**20),
}
"""Ray and its proxy read these when they are imported; a variable that the user has set is left alone."""

ON_ONE_MACHINE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray's name for: no other node will join. Then GCS, raylet, agents and metrics listen on 127.0.0.1 only."""

HAPROXY = {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}
"""HAProxy in front of the replicas instead of Ray's own proxy, and handles tuned for throughput."""
