"""Types of the callbacks that report how far weights are joined or downloaded."""

from __future__ import annotations

from collections.abc import Callable

BytesProgress = Callable[[int, int], None]
"""Called with the bytes of one model that are done, and the bytes in all.

In the thread that joins or downloads; what it raises ends that and leaves no half-written model behind.
"""

ModelProgress = Callable[[str, int, int], None]
"""Called with a model's name as the YAML has it, then as BytesProgress."""
