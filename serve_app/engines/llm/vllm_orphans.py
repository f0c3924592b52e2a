"""A vLLM plugin that ends vLLM's processes when the replica that started them is gone.

A replica that is killed cannot stop its engine, and vLLM's engine process does not notice. It would
keep the card's memory, so that the next replica could not start.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time

from serve_app.gpu import mps

LOOK_S = 1.0


def register() -> None:
    """Called by vLLM in each of its processes, perhaps more than once; does nothing in the replica itself."""
    name = "parle-orphans"
    if multiprocessing.parent_process() is None or any(thread.name == name for thread in threading.enumerate()):
        return
    threading.Thread(target=_end_with, args=(os.getppid(),), name=name, daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    mps.leave()
