"""Loading a Whisper checkpoint in the form of transformers, with errors that a person can act on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, WhisperConfig, WhisperForConditionalGeneration, WhisperProcessor
from transformers.utils import logging

from serve_app.errors import StackError, first_line


def load(model: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """Model and processor of a local folder.

    Raises:
        StackError: the folder holds no multilingual Whisper of transformers.
    """
    wrong = f"stt: {model} is no Whisper of transformers"
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # it logs warnings about its own deprecated calls
    try:
        config = AutoConfig.from_pretrained(model, local_files_only=True)
        if not isinstance(config, WhisperConfig):
            raise StackError(f"{wrong}: its config.json says '{config.model_type}'.")
        weights: Any
        weights, info = WhisperForConditionalGeneration.from_pretrained(  # pyright: ignore[reportGeneralTypeIssues]
            model, config=config, dtype=dtype, local_files_only=True, output_loading_info=True
        )
        processor = WhisperProcessor.from_pretrained(model, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise StackError(f"{wrong}: {first_line(error)}") from error
    if missing := sorted(info["missing_keys"]):
        raise StackError(f"{wrong}: it has no weights '{missing[0]}'.")
    if not getattr(weights.generation_config, "lang_to_id", None):
        raise StackError(f"stt: {model} is an English-only Whisper; a multilingual one is needed.")
    return weights.eval(), processor
