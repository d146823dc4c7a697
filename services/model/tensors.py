"""Safetensors files in numpy, which knows no bfloat16: read as float32 or as they lie, written as bfloat16.

Format: length of the header in eight bytes (little-endian), JSON header padded with spaces, data.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_METADATA = "__metadata__"
_LONGEST_HEADER = 100_000_000
"""Bytes; what safetensors' own reader takes at most."""


class UnreadableTensors(Exception):
    """A file is no safetensors file, or holds tensors of a kind that is not read here."""


@dataclass(frozen=True)
class Bfloat16:
    """A tensor as it lies in a file."""

    shape: tuple[int, ...]
    data: bytes
    """Two bytes an element, little-endian, the last axis innermost."""

    @classmethod
    def of(cls, values: Floats) -> Self:
        """Float32 rounded to the nearest bfloat16, ties to even: the upper half of its bits."""
        bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
        rounded = bits + 0x7FFF + ((bits >> 16) & 1)
        return cls(values.shape, (rounded >> 16).astype("<u2").tobytes())

    @property
    def values(self) -> Floats:
        """As float32, which holds every bfloat16 exactly."""
        return _widened(np.frombuffer(self.data, dtype="<u2")).reshape(self.shape)


@dataclass(frozen=True)
class TensorFile:
    """A safetensors file that is read a tensor at a time."""

    path: Path
    entries: Mapping[str, tuple[str, tuple[int, ...], int, int]]
    """By name: number format, shape, and where the data begins and ends in the file."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the header. Raises `UnreadableTensors`, `OSError`."""
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            text = file.read(min(length, _LONGEST_HEADER))
        try:
            header: dict[str, Any] = json.loads(text)
            header.pop(_METADATA, None)
            entries = {name: _entry(one, 8 + length) for name, one in header.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreadableTensors(f"{path} is no safetensors file") from error
        if max((end for *_, end in entries.values()), default=0) > path.stat().st_size:
            raise UnreadableTensors(f"{path} is cut off")
        return cls(path, entries)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes by name."""
        return {name: shape for name, (_, shape, _, _) in self.entries.items()}

    def floats(self, name: str) -> Floats:
        """A tensor as float32. Raises `UnreadableTensors` where its numbers are of another kind than below."""
        kind, shape, _, _ = self.entries[name]
        data = self._data(name)
        if kind == "BF16":
            return _widened(np.frombuffer(data, dtype="<u2")).reshape(shape)
        if kind in {"F32", "F16"}:
            return np.frombuffer(data, dtype="<f4" if kind == "F32" else "<f2").astype(np.float32).reshape(shape)
        raise UnreadableTensors(f"{self.path}: {name} is {kind}; only BF16, F16 and F32 are read")

    def bfloat16(self, name: str) -> Bfloat16:
        """A tensor as bfloat16: as it lies, or rounded. Raises `UnreadableTensors`."""
        kind, shape, _, _ = self.entries[name]
        return Bfloat16(shape, self._data(name)) if kind == "BF16" else Bfloat16.of(self.floats(name))

    def _data(self, name: str) -> bytes:
        _, _, start, end = self.entries[name]
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)


def write_tensors(tensors: Mapping[str, Bfloat16], path: Path) -> None:
    """Write a file, tensors by name; the same tensors give the same bytes."""
    header: dict[str, Any] = {_METADATA: {"format": "pt"}}
    place = 0
    for name, tensor in sorted(tensors.items()):
        end = place + len(tensor.data)
        header[name] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, tensor in sorted(tensors.items()):
            file.write(tensor.data)


def _entry(stated: Mapping[str, Any], data: int) -> tuple[str, tuple[int, ...], int, int]:
    start, end = stated["data_offsets"]
    return str(stated["dtype"]), tuple(int(extent) for extent in stated["shape"]), data + int(start), data + int(end)


def _widened(halves: NDArray[np.uint16]) -> Floats:
    return (halves.astype(np.uint32) << 16).view(np.float32)
