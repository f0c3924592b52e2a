"""A name for a model's files as they are: what is made from them and kept is valid as long as the name is the same."""

from __future__ import annotations

from pathlib import Path


def identity(model: Path) -> str:
    """A name that changes with the file, or the files of the folder: their paths, sizes and times of change."""
    files = sorted(path for path in model.rglob("*") if path.is_file()) if model.is_dir() else [model]
    stats = [(path, path.stat()) for path in files]
    return " ".join(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats)
