"""Stand-ins for libraries that another library imports when it is loaded, and never calls as we use it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType


@contextmanager
def stand_ins(*names: str) -> Iterator[None]:
    """Inside the block, each named module whose library is not installed is an empty one, its parents as well.

    Afterwards they are gone again, so that nobody else takes such a library for installed.
    """
    absent = [name.split(".") for name in names if importlib.util.find_spec(name.partition(".")[0]) is None]
    paths = [".".join(parts[:depth]) for parts in absent for depth in range(1, len(parts) + 1)]
    for path in paths:
        module = ModuleType(path)
        module.__spec__ = ModuleSpec(path, None, is_package=True)
        module.__path__ = []
        sys.modules[path] = module
        parent, _, name = path.rpartition(".")
        if parent:
            setattr(sys.modules[parent], name, module)
    try:
        yield
    finally:
        for path in paths:
            del sys.modules[path]
