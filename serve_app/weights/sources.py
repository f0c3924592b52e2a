"""The model files that each stage loads: the launcher fetches them, the replicas find them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from serve_app.config.stack import (
    FasterWhisperConfig,
    KokoroConfig,
    StackArgs,
    StageConfig,
    TransformersWhisperConfig,
    VllmConfig,
)
from serve_app.errors import StackError
from serve_app.gpu import architectures
from serve_app.weights import hub, hub_names, model_names
from serve_app.weights.progress import BytesProgress
from serve_app.weights.voices import voice_files
from serve_app.weights.whisper_names import conversion_of

MISTRAL_FILES = ("params.json", "tekken.json", "consolidated*.safetensors*")
HUGGING_FACE_FILES = ("*.json", "*.jinja", "*.txt", "*.model", "model*.safetensors")
"""Some repositories contain the same weights in both forms."""

SMART_TURN = "wheel:smart-turn-v3.2"
"""Of turn-taking, which does without it where its wheel is not installed."""

ONE_FILE = {"llama-cpp": ".gguf", "kokoro-onnx": ".onnx"}
"""Engines that load a single file, and its ending; the others load a folder."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model as the YAML names it; `files` are glob patterns that limit a download from the hub, None for all."""

    model: str
    files: tuple[str, ...] | None = None

    def check(self) -> None:
        """Raise the StackError that `resolve` would, as far as it can be found without work or network."""
        model_names.check(self.model, files=self.files)

    def present(self) -> Path | None:
        """The path of the files if they are on this machine already, else None; no work, no network."""
        return model_names.present(self.model, files=self.files)

    def resolve(self, progress: BytesProgress | None = None) -> Path:
        """The path of the files on this machine; fetches what is missing and blocks meanwhile.

        Raises:
            StackError: they cannot be fetched; one line that says what to do.
        """
        return model_names.resolve(self.model, files=self.files, progress=progress)


def source_of(config: StageConfig) -> Source | None:
    """The model that the stage loads; None for an engine without weights."""
    match config:
        case FasterWhisperConfig():
            return Source(conversion_of(config.model))
        case TransformersWhisperConfig():
            return Source(config.model, HUGGING_FACE_FILES)
        case VllmConfig():
            return Source(config.model, MISTRAL_FILES if config.format == "mistral" else HUGGING_FACE_FILES)
        case KokoroConfig():
            return Source(config.model, ("*.json", "*.pth", "voices/p*.pt"))
        case _:
            model: str | None = getattr(config, "model", None)
            return Source(model) if model else None


def sources_of(config: StageConfig) -> list[Source]:
    """Everything the stage loads: its model, and the user's own voices."""
    model = source_of(config)
    folder: Path | None = getattr(config, "voices_folder", None)
    voices = Source(str(folder.absolute())) if folder is not None else None
    return [source for source in (model, voices) if source is not None]


def sources(args: StackArgs) -> list[Source]:
    """Everything the stack loads, each source once."""
    own = dict.fromkeys(source for config in args.stages().values() for source in sources_of(config))
    return [*own, *([] if without_smart_turn() else [Source(SMART_TURN)])]


def without_smart_turn() -> str | None:
    """Why turn-taking does without Smart Turn, and what to install; None if it does not."""
    try:
        Source(SMART_TURN).check()
    except StackError as error:
        return error.message
    return None


def not_downloaded(args: StackArgs) -> list[str]:
    """The stack's models on the hub that are not in this machine's cache. Sends nothing."""
    return [
        source.model
        for source in sources(args)
        if hub_names.is_hub_id(source.model) and not _is_local(source.model) and source.present() is None
    ]


def fetched(config: StageConfig) -> Path:
    """The path of the stage's model on this machine, for an engine that has weights."""
    source = source_of(config)
    assert source is not None
    return source.resolve()


def check_weights(stage: str, config: StageConfig) -> None:
    """Refuse a stage whose weights cannot be fetched, as far as that can be found without work or network.

    Raises:
        StackError: one line that says what to do.
    """
    if (model := source_of(config)) is not None:
        check_form(stage, config, model.model)
    for source in sources_of(config):
        source.check()
        check_gated(stage, source.model)
    if (folder := getattr(config, "voices_folder", None)) is not None:
        voice_files(folder)


def check_form(stage: str, config: StageConfig, model: str) -> None:
    """Refuse a repository on the hub where the engine loads one file of it, and a file where it loads a folder.

    Raises:
        StackError: one line that says what to write.
    """
    name = hub_names.parse(model)
    if name is None or _is_local(model):
        return
    ending = ONE_FILE.get(config.engine)
    if ending and not (name.file or "").endswith(ending):
        raise StackError(
            f"{stage}.model: the engine '{config.engine}' loads one {ending} file: write "
            f"'{replace(name, file=f'FILE{ending}')}', with the name of a file of that repository."
        )
    if not ending and name.file:
        raise StackError(
            f"{stage}.model: the engine '{config.engine}' loads a whole repository: write '{replace(name, file=None)}'."
        )


def check_gated(stage: str, model: str) -> None:
    """Refuse a gated model (the hub sends it only to accounts that accepted its licence) if no token is set.

    Sends nothing: whether a model is gated comes from our catalogue. A model in the hub's cache needs no token.

    Raises:
        StackError: one line that says what to do.
    """
    known = architectures.of(model)
    name = hub_names.parse(model)
    if known is None or not known.gated or name is None or _is_local(model):
        return
    if not hub.may_download(model):
        page = hub.page(model)
        raise StackError(
            f"{stage}: {name.repo} is gated: accept its licence at {page} and set HF_TOKEN to a token of that account."
        )


def _is_local(model: str) -> bool:
    return os.path.exists(os.path.expanduser(model))
