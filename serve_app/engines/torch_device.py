"""The card as PyTorch sees it, and a replica's share of it."""

from __future__ import annotations

import torch

from serve_app.errors import StackError
from serve_app.gpu.cards import context_bytes

LIMITED = 0.95
"""CUDA's two figures for a card's memory differ by less than this."""


def claim(device: str, share: float | None) -> torch.device:
    """The device an engine loads on; on CUDA, PyTorch is held to `share` of the card's memory in this process.

    `share` None, or whole cards, sets no limit. PyTorch's limit does not count the CUDA
    context of the process, so that is taken off the share first.

    Raises:
        StackError: a card is asked for and PyTorch sees none.
    """
    if device == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise StackError(
            "A share of a GPU is given, and PyTorch sees none here: check `nvidia-smi` and the driver (580 or newer)."
        )
    # It is set up anew for every pair of batch and length, some 33 ms each, and is no faster once it is.
    torch.backends.cuda.enable_cudnn_sdp(False)
    if share is not None and share < 1:
        total = torch.cuda.get_device_properties(0).total_memory
        seen = min(torch.cuda.mem_get_info(0)[1], total)
        if seen < LIMITED * total:  # under MPS a process may see its own limit in place of the card
            share = min(share * total / seen, 1.0)
        torch.cuda.set_per_process_memory_fraction(max(share - context_bytes(total) / seen, 0.0))
    return torch.device("cuda")
