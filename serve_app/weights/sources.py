"""Which files of which model each stage loads: what the launcher fetches and the replicas find."""

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
from serve_app.weights.whisper_names import conversion_of

MISTRAL_FILES = ("params.json", "tekken.json", "consolidated*.safetensors*")
HUGGING_FACE_FILES = ("*.json", "*.jinja", "*.txt", "*.model", "model*.safetensors")
"""Some repositories hold the same weights in both forms."""

ONE_FILE = {"llama-cpp": ".gguf", "kokoro-onnx": ".onnx"}
"""Engines that load a single file, and its ending; the others load a folder."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model by the name of its files; `files` are glob patterns of what a hub shall send, None for all."""

    model: str
    files: tuple[str, ...] | None = None

    def check(self) -> None:
        """Raise the StackError that `resolve` would, as far as that shows without work or network."""
        model_names.check(self.model, files=self.files)

    def present(self) -> Path | None:
        """The files if they are on this machine already, without work or network."""
        return model_names.present(self.model, files=self.files)

    def resolve(self, progress: BytesProgress | None = None) -> Path:
        """The files on this machine; fetches what is missing and blocks meanwhile.

        Raises:
            StackError: they cannot be had; one line that says what to do.
        """
        return model_names.resolve(self.model, files=self.files, progress=progress)


def source_of(config: StageConfig) -> Source | None:
    """What the stage loads; None for an engine without weights."""
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
    """All that the stage loads: its model, and voices of the user's own."""
    model = source_of(config)
    folder: Path | None = getattr(config, "voices_folder", None)
    voices = Source(str(folder.expanduser().absolute())) if folder is not None else None
    return [source for source in (model, voices) if source is not None]


def sources(args: StackArgs) -> list[Source]:
    """What the whole stack loads, each source once."""
    return list(dict.fromkeys(source for config in args.stages().values() for source in sources_of(config)))


def fetched(config: StageConfig) -> Path:
    """The stage's files on this machine, for an engine that has weights."""
    source = source_of(config)
    assert source is not None
    return source.resolve()


def check_weights(stage: str, config: StageConfig) -> None:
    """Refuse a stage whose weights cannot be had, as far as that shows without work or network.

    Raises:
        StackError: one line that says what to do.
    """
    if (model := source_of(config)) is not None:
        check_form(stage, config, model.model)
    for source in sources_of(config):
        source.check()
        check_gated(stage, source.model)


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
    """Refuse a model that the hub sends only to accounts that accepted its licence, where no token is set.

    Sends nothing: it knows only what the catalogue of models says. A model in the hub's cache needs no token.

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
