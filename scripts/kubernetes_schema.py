"""Cut tests/data/kubernetes_v1.37.json from the Python package kubernetes-validate 1.37.0 (`pip install` it first)."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

VERSION = "v1.37"
SOURCE = f"kubernetes-json-schema/{VERSION}.0-local-strict/_definitions.json"
KINDS = ("io.k8s.api.core.v1.PodTemplateSpec", "io.k8s.api.core.v1.Service", "io.k8s.api.apps.v1.StatefulSet")
TARGET = Path(__file__).parent.parent / f"tests/data/kubernetes_{VERSION}.json"
COMMENT = (
    f"Kubernetes {VERSION} (Apache-2.0): the definitions below PodTemplateSpec, Service and StatefulSet, strict, "
    "without descriptions; cut by scripts/kubernetes_schema.py from the Python package kubernetes-validate 1.37.0."
)


def cut(schema: Any) -> Any:
    """Without descriptions and patch strategies; references within this file."""
    if isinstance(schema, list):
        return [cut(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: f"#/definitions/{value.rsplit('/', 1)[1]}" if key == "$ref" else cut(value)
        for key, value in schema.items()
        if not key.startswith("x-kubernetes") and not (key == "description" and isinstance(value, str))
    }


def named(schema: Any) -> set[str]:
    """The definitions that a schema refers to."""
    if isinstance(schema, list):
        return {name for item in schema for name in named(item)}
    if not isinstance(schema, dict):
        return set()
    inside = {name for key, value in schema.items() if key != "$ref" for name in named(value)}
    return inside | ({schema["$ref"].rsplit("/", 1)[1]} if isinstance(schema.get("$ref"), str) else set())


def main() -> None:
    everything: dict[str, Any] = json.loads((files("kubernetes_validate") / SOURCE).read_text("utf-8"))["$defs"]
    kept: dict[str, Any] = {}
    wanted = set(KINDS)
    while wanted:
        name = wanted.pop()
        kept[name] = cut(everything[name])
        wanted |= named(kept[name]) - set(kept)
    lines = [f" {json.dumps(name)}: {json.dumps(kept[name], separators=(',', ':'))}" for name in sorted(kept)]
    head = json.dumps({"$comment": COMMENT})[:-1]
    TARGET.write_text(head + ', "definitions": {\n' + ",\n".join(lines) + "\n}}\n", "utf-8")
    print(f"{TARGET}: {len(kept)} definitions, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
