"""CTranslate2 on CUDA: loads cuBLAS 12 in a CUDA 13 environment, and limits the memory to a share of the card.

CTranslate2's wheel opens `libcublas.so.12` by name, but PyTorch's wheels bring version 13. Once the
library of the wheel `nvidia-cublas-cu12` is loaded here, the name resolves to it.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from pathlib import Path

from serve_app.errors import StackError, first_line
from serve_app.gpu.cards import context_bytes, present_cards, smallest

LIBRARIES = ("libcublasLt.so.12", "libcublas.so.12")
"""In load order: the second needs the first."""

BINS = "4,3,12"
"""CTranslate2's own bin_growth, min_bin and max_bin of its caching allocator."""


def find() -> list[Path]:
    """The files of cuBLAS 12 among the installed wheels, [] unless all are there.

    `nvidia.cublas` may consist of several folders, since wheels for other CUDA versions share the name.
    """
    try:
        spec = importlib.util.find_spec("nvidia.cublas")
    except ModuleNotFoundError:
        return []
    folders = [Path(folder) / "lib" for folder in (spec.submodule_search_locations or ()) if spec] if spec else []
    found = [next((file for folder in folders if (file := folder / name).is_file()), None) for name in LIBRARIES]
    return [file for file in found if file] if all(found) else []


def preload() -> None:
    """Load cuBLAS 12 for the whole process, so that CTranslate2 finds it by name.

    Raises:
        StackError: it is neither among the wheels nor on the system.
    """
    for library in find() or LIBRARIES:  # without the wheel, try those of the system
        try:
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise StackError(
                f"CTranslate2 needs cuBLAS 12 on a GPU ({first_line(error)}): pip install nvidia-cublas-cu12"
            ) from None


def card_bytes() -> int:
    """Usable memory of the smallest visible card, asked of the driver; no CUDA context is made.

    Raises:
        StackError: no driver or no card.
    """
    if not (cards := present_cards()):
        raise StackError("A share of a GPU is given, and its driver sees none here: check `nvidia-smi`.")
    return smallest(cards).usable_bytes


def hold(share: float | None, weights_bytes: int) -> None:
    """Limit CTranslate2's memory to a share of the card; must be called before its first CUDA allocation.

    CTranslate2 has no limit for what one call takes, but for one window of 30 s that is small and
    constant. What can be limited is the memory it keeps between calls: the share, less the weights
    and the CUDA context. `share` None, or whole cards, sets no limit.

    Raises:
        StackError: the weights alone do not fit, or there is no card.
    """
    if share is None or share >= 1:
        return
    total = card_bytes()
    cached = cache_bytes(share, total, weights_bytes)
    os.environ["CT2_CUDA_ALLOCATOR"] = "cub_caching"
    os.environ["CT2_CUDA_CACHING_ALLOCATOR_CONFIG"] = f"{BINS},{cached}"


def cache_bytes(share: float, total: int, weights_bytes: int) -> int:
    """What of a share of a card with `total` bytes is left for CTranslate2's cache; StackError if nothing is."""
    left = int(share * total) - weights_bytes - context_bytes(total)
    if left < 0:
        needed = (weights_bytes + context_bytes(total)) / total
        raise StackError(f"stt: num_gpus {share:g} is too little for this Whisper; it needs {needed:.2f} at least.")
    return left
