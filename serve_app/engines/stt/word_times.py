"""Times of tokens in a recording, from the cross attention of Whisper's alignment heads."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


def token_edges(weights: torch.Tensor, tokens: int, median_width: int) -> NDArray[np.float64]:
    """Frames where each token begins and the last one ends, shape [tokens + 1].

    `weights` is the cross attention [alignment heads, start token .. last text token, frames].
    """
    spread = weights.float()
    spread = (spread - spread.mean(-2, keepdim=True)) / spread.std(-2, keepdim=True, unbiased=False).clamp_min(1e-8)
    side = median_width // 2
    if spread.shape[-1] > side:
        spread = torch.nn.functional.pad(spread, (side, side), mode="reflect")
        spread = spread.unfold(-1, median_width, 1).median(-1).values
    matrix = spread.mean(0)[-(tokens + 1) :]
    return row_starts(-matrix.double().cpu().numpy()).astype(np.float64)


def row_starts(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """The column where the cheapest path enters each row (dynamic time warping).

    The path goes from the first to the last corner of `cost` [rows, columns], one step right, down
    or both at a time. Computed row by row: the best column at which to enter a row minimises
    (cost of getting there - cost of the row up to there).
    """
    rows, columns = cost.shape
    total = np.cumsum(cost[0])
    entries = np.zeros((rows, columns), np.int64)
    diagonal = np.zeros((rows, columns), bool)
    for i in range(1, rows):
        left = np.concatenate([[np.inf], total[:-1]])
        diagonal[i] = left <= total
        upto = np.cumsum(cost[i])
        gain = np.minimum(left, total) - (upto - cost[i])
        best = np.minimum.accumulate(gain)
        entries[i] = np.maximum.accumulate(np.where(gain == best, np.arange(columns), 0))
        total = upto + best
    starts = np.zeros(rows, np.int64)
    column = columns - 1
    for i in range(rows - 1, 0, -1):
        starts[i] = entries[i, column]
        column = starts[i] - int(diagonal[i, starts[i]])
    return starts
