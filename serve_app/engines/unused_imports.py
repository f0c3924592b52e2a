"""Empty modules in place of libraries that another library imports but does not need for what we use."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType


@contextmanager
def stand_ins(*names: str) -> Iterator[None]:
    """Inside the block, each named module whose library is not installed is an empty module, and so are its parents.

    They are removed afterwards, so that no other code takes such a library for installed.
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
