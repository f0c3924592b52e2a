"""One file per library that runs a model; nothing else in the project imports that library."""

from __future__ import annotations

from serve_app.errors import StackError


def not_on_this_machine(stage: str, engine: str) -> StackError:
    """The engine is named by a GPU stack and is not part of this version."""
    return StackError(f"{stage}: the engine '{engine}' is not part of this version; run configs/cpu_stack.yaml.")
