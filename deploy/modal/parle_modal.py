"""Parle on Modal: `python3 -m modal deploy deploy/modal/parle_modal.py`; README.md beside this file.

Deploying needs the package `modal` and nothing else; the imports inside the class run in the image.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import modal

CARDS = {"L4": "L4", "A10G": "A10", "A100": "A100", "H100": "H100"}
"""PARLE_GPU, and Modal's name of the card."""
STACK = "configs/modal_stack.yaml"
SOURCE = Path("/parle")
WEIGHTS = "/weights"
PORT = 8000
MINUTES = 60
TURNS = 8
"""`limits.max_turns` of the stack. If more containers are allowed, Modal starts another at this many requests."""
REQUESTS = 64
"""Concurrent requests to one container. More than TURNS, so that Parle answers 503 instead of Modal queueing them."""


def setting(name: str, default: str, known: tuple[str, ...] | None = None) -> str:
    """A setting of the deploying shell; raises SystemExit if it is not valid."""
    value = os.environ.get(name, default)
    if known is not None and value not in known:
        raise SystemExit(f"{name} must be one of {', '.join(known)}, not '{value}'.")
    if known is None and not value.isdecimal():
        raise SystemExit(f"{name} must be a whole number, not '{value}'.")
    return value


# The container imports this file too, from another folder and without these settings, which have no effect there.
here = Path(__file__).resolve()
root = here.parents[2] if len(here.parents) > 2 and (here.parents[2] / "pyproject.toml").is_file() else SOURCE

card = setting("PARLE_GPU", "L4", tuple(CARDS))
idle_minutes = int(setting("PARLE_IDLE_MINUTES", "5"))
containers = int(setting("PARLE_CONTAINERS", "1"))
private = setting("PARLE_PRIVATE", "0", ("0", "1")) == "1"
passed_on = [name for name in ("HF_TOKEN", "PARLE_API_KEYS", "PARLE_STORE_URL") if os.environ.get(name)]
secrets = [modal.Secret.from_local_environ(passed_on)] if passed_on and modal.is_local() else []

volume = modal.Volume.from_name("parle-weights", create_if_missing=True)
environment = {
    "HF_HOME": f"{WEIGHTS}/huggingface",
    "PARLE_CACHE": f"{WEIGHTS}/parle",
    "VLLM_CACHE_ROOT": f"{WEIGHTS}/vllm",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # Ray's default of 15 lets anything else in the container slow the models down
    "PYTHONUNBUFFERED": "1",
    "PARLE_HOSTS": "*",  # Modal decides which requests come here, and under which name
}
if "PARLE_STORE_URL" not in passed_on:
    environment["PARLE_STORE_URL"] = "memory"  # a container's disk ends with it

# The layers that change least come first. debian_slim has the C compiler that Triton needs; CUDA is inside the wheels.
image = (
    modal.Image.debian_slim(python_version="3.11")
    .env(environment)
    .add_local_file(root / "constraints/gpu.txt", f"{SOURCE}/constraints/gpu.txt", copy=True)
    .pip_install_from_pyproject(str(root / "pyproject.toml"), ["gpu"], extra_options=f"-c {SOURCE}/constraints/gpu.txt")
    .add_local_file(root / "pyproject.toml", f"{SOURCE}/pyproject.toml", copy=True)
    .add_local_file(root / "README.md", f"{SOURCE}/README.md", copy=True)
    .add_local_file(root / "LICENSE", f"{SOURCE}/LICENSE", copy=True)
    .add_local_dir(root / "serve_app", f"{SOURCE}/serve_app", copy=True, ignore=["**/__pycache__"])
    .add_local_file(root / "constraints/no-deps.txt", f"{SOURCE}/constraints/no-deps.txt", copy=True)
    .run_commands(f"python -m pip install --no-deps {SOURCE} -r {SOURCE}/constraints/no-deps.txt")
    .add_local_dir(root / "configs", f"{SOURCE}/configs", copy=True)
    # Downloads into the volume while the image is built, so that no card waits for it.
    .run_commands(f"parle pull {SOURCE}/{STACK}", volumes={WEIGHTS: volume}, secrets=secrets)
)

app = modal.App("parle")


@app.cls(
    image=image,
    gpu=CARDS[card],
    cpu=4.0,
    memory=24 * 1024,
    volumes={WEIGHTS: volume},
    secrets=secrets,
    min_containers=0,
    max_containers=containers,
    scaledown_window=idle_minutes * MINUTES,
    startup_timeout=20 * MINUTES,
    timeout=10 * MINUTES,
)
@modal.concurrent(max_inputs=REQUESTS, target_inputs=TURNS)
class Parle:
    """One container: `parle serve` on one card, behind Modal's web server."""

    @modal.enter()
    def start(self) -> None:
        """Start the server and run one warm-up turn before Modal sends the first learner."""
        from serve_app.launch import child_process

        self.server = child_process.start(SOURCE / STACK, host="0.0.0.0", port=PORT)
        url = f"http://127.0.0.1:{PORT}"
        child_process.await_ready(self.server, url, 15 * MINUTES)
        child_process.warm_up(url)
        self.stopping = threading.Event()
        threading.Thread(target=child_process.outlive, args=(self.server, self.stopping), daemon=True).start()

    @modal.web_server(PORT, startup_timeout=1 * MINUTES, label="parle", requires_proxy_auth=private)
    def web(self) -> None:
        """Modal forwards requests to the port, and streams the answers."""

    @modal.exit()
    def stop(self) -> None:
        """Let the running turns finish; Modal allows 30 s."""
        from serve_app.launch import child_process

        self.stopping.set()
        child_process.stop(self.server)
