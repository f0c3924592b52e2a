"""The plots of docs/scaling.md, from bench/capacity.json and bench/cards.json."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "parle"  # the same data give the same file
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402


def write(root: Path) -> None:
    """docs/scaling-cpu.svg and docs/scaling-cards.svg; a file that is not there is left out."""
    if (found := root / "bench/capacity.json").exists():
        rows = json.loads(found.read_text("utf-8"))["rows"]
        figure, axes = plt.subplots(figsize=(6, 3.4))
        talkers = [row["talkers"] for row in rows]
        for name, style in (("p50", "o"), ("p95", "s")):
            axes.plot(talkers, [row[f"{name}_s"] for row in rows], f"{style}-", label=f"{name}, measured")
            axes.plot(talkers, [row[f"simulated_{name}_s"] for row in rows], f"{style}--", label=f"{name}, simulated")
        _finish(figure, axes, root / "docs/scaling-cpu.svg")
    if (found := root / "bench/cards.json").exists():
        figure, axes = plt.subplots(figsize=(6, 3.4))
        for row in json.loads(found.read_text("utf-8"))["rows"]:
            talkers, seconds = zip(*row["curve"], strict=True)
            axes.plot(talkers, seconds, ".-", label=f"{row['card']}, {row['stack']} (simulated)")
        axes.axhline(1.0, color="grey", linewidth=0.8)
        axes.set_ylim(0, 2)
        _finish(figure, axes, root / "docs/scaling-cards.svg", "p95 of first audio, s")


def _finish(figure: Figure, axes: Axes, path: Path, what: str = "first audio, s") -> None:
    axes.set_xlabel("talkers at once")
    axes.set_ylabel(what)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    print(path)
