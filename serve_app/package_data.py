"""The files that come with the package, in `serve_app/data`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def data_file(name: str) -> Path:
    """The path of a file or folder of `serve_app/data`."""
    return Path(str(files("serve_app").joinpath("data", name)))
