"""A vLLM plugin that ends vLLM's processes when the replica that started them is gone.

A replica that is killed cannot stop its engine, and vLLM's engine process does not notice. It would
keep the card's memory, so that the next replica could not start.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from contextlib import suppress

import psutil

from serve_app.gpu import mps

LOOK_S = 1.0


def register() -> None:
    """Called by vLLM in each of its processes, perhaps more than once; does nothing in the replica itself."""
    name, parent = "parle-orphans", multiprocessing.parent_process()
    if parent is None or parent.pid is None or any(thread.name == name for thread in threading.enumerate()):
        return
    threading.Thread(target=_end_with, args=(parent.pid,), name=name, daemon=True).start()


def _end_with(parent: int) -> None:
    with suppress(psutil.NoSuchProcess):  # it may have gone before this process could look
        replica = psutil.Process(parent)
        while replica.is_running() and replica.status() != psutil.STATUS_ZOMBIE:
            time.sleep(LOOK_S)
    mps.leave()
