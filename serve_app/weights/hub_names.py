"""How a model on the Hugging Face hub is named.

    organisation/name                     the repository: the folder of its files
    organisation/name:FILE.gguf           one file of it; in a subfolder `:folder/FILE.gguf`
    organisation/name@revision            a branch, tag or commit instead of main
    organisation/name@revision:FILE.gguf  both

Imports no library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_REPO = r"[A-Za-z0-9]\w*(?:[.-]\w+)*/\w+(?:[.-]\w+)*"
_FILE = r"(?:[\w+-][\w.+-]*/)*[\w+-][\w.+-]*\.\w+"

_NAME = re.compile(rf"(?P<repo>{_REPO})(?:@(?P<revision>[\w./-]+))?(?::(?P<file>{_FILE}))?", re.ASCII)

_PATH_OR_URL = re.compile(
    rf"(?:https?://[^/]+/)?(?P<repo>{_REPO})(?:/(?:resolve|blob)/(?P<revision>[^/]+))?/(?P<file>{_FILE})(?:\?.*)?",
    re.ASCII,
)

_QUANTISATION = re.compile(rf"(?P<repo>{_REPO}):[\w-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class HubName:
    """A repository, or one file of it."""

    repo: str
    revision: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.repo}{revision}" + (f":{self.file}" if self.file else "")


def parse(name: str) -> HubName | None:
    """The parts of a hub name, None for any other text. Does not check that it exists."""
    found = _NAME.fullmatch(name)
    if found is None or "--" in found["repo"] or found["repo"].endswith(".git"):
        return None
    return HubName(found["repo"], found["revision"], found["file"])


def is_hub_id(name: str) -> bool:
    """Whether the text has the form of a hub name."""
    return parse(name) is not None


def meant(name: str) -> str | None:
    """How to write what was probably meant by a path, a URL or llama.cpp's `repository:Q4_0`; None if unclear."""
    if (found := _PATH_OR_URL.fullmatch(name)) is not None:
        revision = found["revision"] if found["revision"] != "main" else None
        return str(HubName(found["repo"], revision, found["file"]))
    if (found := _QUANTISATION.fullmatch(name)) is not None:
        return f"{found['repo']}:FILE.gguf"
    return None
