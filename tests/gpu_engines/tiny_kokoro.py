"""A small Kokoro with random weights, in a folder as published: config.json, one .pth, voices/*.pt."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from serve_app.engines.tts.kokoro import REPOSITORY, WEIGHTS, KModel
from serve_app.engines.tts.kokoro_voices import STYLE_SHAPE

QUICK = -3.2
"""Bias with which a phoneme lasts about 2 frames of 25 ms, as in speech; 25 with random weights."""


def config() -> dict[str, Any]:
    """The published sizes, but one layer each, a narrow reader of phonemes, and 40 samples for 25 ms instead of 600.

    The decoder's widths are not in the config.
    """
    published: dict[str, Any] = json.loads(importlib.resources.files("kokoro_onnx").joinpath("config.json").read_text())
    reader = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "num_hidden_layers": 1}
    return {
        **published,
        "n_layer": 1,
        "plbert": {**published["plbert"], **reader},
        "istftnet": {
            **published["istftnet"],
            "resblock_kernel_sizes": [3],
            "resblock_dilation_sizes": [[1, 3, 5]],
            "upsample_rates": [2, 2],
            "upsample_kernel_sizes": [4, 4],
        },
    }


def make(folder: Path, voices: Sequence[str] = (), seed: int = 0) -> Path:
    """Write the model, and a random voice for each name."""
    (folder / "voices").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config()))
    torch.manual_seed(seed)
    torch.save({}, folder / "none.pth")  # of no weights the library loads none
    model = KModel(repo_id=REPOSITORY, config=str(folder / "config.json"), model=str(folder / "none.pth"))
    (folder / "none.pth").unlink()
    torch.nn.init.constant_(model.predictor.duration_proj.linear_layer.bias, QUICK)
    weights = {
        part: {f"module.{name}": tensor.half() for name, tensor in module.state_dict().items()}
        for part, module in model.named_children()
    }
    torch.save(weights, folder / WEIGHTS)
    for voice in voices:
        torch.save(0.3 * torch.randn(STYLE_SHAPE), folder / "voices" / f"{voice}.pt")
    return folder
