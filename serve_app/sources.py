"""Which files of which model each stage loads: what the launcher fetches and the replicas find."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serve_app import weights
from serve_app.engines.whisper_names import conversion_of
from serve_app.stack import (
    FasterWhisperConfig,
    KokoroConfig,
    StackArgs,
    StageConfig,
    TransformersWhisperConfig,
    VllmConfig,
)
from serve_app.weights import Progress

MISTRAL_FILES = ("params.json", "tekken.json", "consolidated*.safetensors*")
HUGGING_FACE_FILES = ("*.json", "*.jinja", "*.txt", "*.model", "model*.safetensors")
"""Some repositories hold the same weights in both forms."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model by the name of its files; `files` are glob patterns of what a hub shall send, None for all."""

    model: str
    files: tuple[str, ...] | None = None

    def check(self) -> None:
        """Raise the StackError that `resolve` would, as far as that shows without work or network."""
        weights.check(self.model, files=self.files)

    def present(self) -> Path | None:
        """The files if they are on this machine already, without work or network."""
        return weights.present(self.model, files=self.files)

    def resolve(self, progress: Progress | None = None) -> Path:
        """The files on this machine; fetches what is missing and blocks meanwhile.

        Raises:
            StackError: they cannot be had; one line that says what to do.
        """
        return weights.resolve(self.model, files=self.files, progress=progress)


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
