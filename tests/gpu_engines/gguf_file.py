"""Reads a GGUF file. The reader of `gguf` takes half a minute over a vocabulary of 262,144 tokens."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import dequantize
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType, GGUFValueType

SCALARS = {
    GGUFValueType.UINT8: "B",
    GGUFValueType.INT8: "b",
    GGUFValueType.UINT16: "H",
    GGUFValueType.INT16: "h",
    GGUFValueType.UINT32: "I",
    GGUFValueType.INT32: "i",
    GGUFValueType.FLOAT32: "f",
    GGUFValueType.BOOL: "?",
    GGUFValueType.UINT64: "Q",
    GGUFValueType.INT64: "q",
    GGUFValueType.FLOAT64: "d",
}
"""struct's letter of each type."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor; `stored` holds its rows as bytes, quantised."""

    kind: GGMLQuantizationType
    stored: npt.NDArray[np.uint8]

    def values(self, rows: list[int] | None = None) -> npt.NDArray[np.float32]:
        """The numbers, of some rows or all."""
        stored = self.stored if rows is None else self.stored[rows]
        return dequantize(np.ascontiguousarray(stored), self.kind).astype(np.float32)


@dataclass(frozen=True, slots=True)
class GgufFile:
    fields: dict[str, Any]
    tensors: dict[str, Tensor]


def read(path: Path) -> GgufFile:
    """The whole file: a header, the fields, what each tensor is and where, then the tensors, aligned."""
    data = memoryview(path.read_bytes())
    at = 0

    def number(letter: str) -> Any:
        nonlocal at
        (value,) = struct.unpack_from("<" + letter, data, at)
        at += struct.calcsize(letter)
        return value

    def string() -> str:
        nonlocal at
        length = number("Q")
        at += length
        return bytes(data[at - length : at]).decode()

    def value(kind: GGUFValueType) -> Any:
        nonlocal at
        if kind == GGUFValueType.STRING:
            return string()
        if kind != GGUFValueType.ARRAY:
            return number(SCALARS[kind])
        inner, length = GGUFValueType(number("I")), number("Q")
        if inner in (GGUFValueType.STRING, GGUFValueType.ARRAY):
            return [value(inner) for _ in range(length)]
        array = np.frombuffer(data, "<" + SCALARS[inner], length, at)
        at += array.nbytes
        return array.tolist()

    assert number("I") == int.from_bytes(b"GGUF", "little")
    number("I")  # version
    tensor_count, field_count = number("Q"), number("Q")
    fields = {string(): value(GGUFValueType(number("I"))) for _ in range(field_count)}
    found = []
    for _ in range(tensor_count):
        name = string()
        shape = [number("Q") for _ in range(number("I"))][::-1]
        found.append((name, shape, GGMLQuantizationType(number("I")), number("Q")))
    alignment = fields.get("general.alignment", 32)
    start = -(-at // alignment) * alignment
    tensors = {}
    for name, shape, kind, offset in found:
        block, block_bytes = GGML_QUANT_SIZES[kind]
        shape[-1] = shape[-1] // block * block_bytes
        stored = np.frombuffer(data, np.uint8, math.prod(shape), start + offset)
        tensors[name] = Tensor(kind, stored.reshape(shape))
    return GgufFile(fields, tensors)
