"""A LoRA adapter in PEFT's files, read in numpy: what it adapts, and by how much."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.model.shipped import CONFIG, WEIGHTS, UnusableAdapter
from services.model.tensors import Floats, TensorFile, UnreadableTensors

_PREFIX = "base_model.model."
_NAME = re.compile(
    r"^base_model\.model\.(?P<stem>model\.layers\.[0-9]+\.(?:self_attn\.[qkvo]_proj|mlp\.(?:gate|up|down)_proj))"
    r"\.lora_(?P<part>[AB])\.weight$"
)
"""Linears of attention and MLP; the embeddings are tied to the head and are never adapted."""


class LoraSettings(BaseModel):
    """`adapter_config.json`, as far as it says what the adapter computes."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    r: int = Field(ge=1, le=512)
    lora_alpha: float = Field(gt=0)
    use_dora: bool = False
    use_rslora: bool = False
    fan_in_fan_out: bool = False
    modules_to_save: list[str] | None = None
    rank_pattern: dict[str, int] = Field(default_factory=dict)
    alpha_pattern: dict[str, float] = Field(default_factory=dict)

    @property
    def unserved(self) -> list[str]:
        """Keys that are set and that nothing here computes."""
        plain = {"r", "lora_alpha"}
        return [name for name in type(self).model_fields if name not in plain and getattr(self, name)]


@dataclass(frozen=True)
class Adapter:
    """An adapter whose files have been found right; the tensors are read one by one."""

    folder: Path
    settings: LoraSettings
    tensors: TensorFile

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read what describes the adapter. Raises `UnusableAdapter`."""
        try:
            settings = LoraSettings.model_validate_json((folder / CONFIG).read_bytes())
            tensors = TensorFile.open(folder / WEIGHTS)
        except FileNotFoundError as error:
            missing = Path(error.filename).name
            raise UnusableAdapter(f"{folder} holds no {missing}: name the folder of a LoRA adapter") from error
        except ValidationError as error:
            raise UnusableAdapter(f"{folder / CONFIG}: {_first(error)}") from error
        except UnreadableTensors as error:
            raise UnusableAdapter(str(error)) from error
        if settings.unserved:
            raise UnusableAdapter(
                f"{folder} has {settings.unserved[0]} set, which is not merged here; train it without"
            )
        adapter = cls(folder, settings, tensors)
        adapter._check_names()
        return adapter

    @property
    def stems(self) -> list[str]:
        """The linears it adapts, as the base names them without `.weight`: `model.layers.0.self_attn.q_proj`."""
        return sorted({found["stem"] for name in self.tensors.entries if (found := _NAME.match(name))})

    def delta(self, stem: str) -> Floats:
        """`(alpha / r) B A` of a linear in float32, of the linear's own shape."""
        down, up = (self.tensors.floats(_name(stem, part)) for part in "AB")
        scale = np.float32(self.settings.lora_alpha / self.settings.r)
        product: Floats = up @ down
        return scale * product

    def check_base(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raise `UnusableAdapter` unless a base with tensors of these shapes has all that is adapted."""
        for stem in self.stems:
            down, up = (self.tensors.shapes[_name(stem, part)] for part in "AB")
            wanted = shapes.get(f"{stem}.weight")
            if wanted != (up[0], down[1]):
                has = "does not have" if wanted is None else f"has as {wanted[0]} by {wanted[1]}"
                raise UnusableAdapter(
                    f"{self.folder} adapts {stem} ({up[0]} by {down[1]}), which the base {has}: "
                    "it was trained on another base"
                )

    def _check_names(self) -> None:
        for name in self.tensors.entries:
            if not _NAME.match(name):
                raise UnusableAdapter(f"{self.folder} adapts {name}; only linears of attention and MLP are merged")
        for stem in self.stems:
            for part, axis in (("A", 0), ("B", 1)):
                shape = self.tensors.shapes.get(_name(stem, part), ())
                if len(shape) != 2 or shape[axis] != self.settings.r:
                    raise UnusableAdapter(f"{self.folder}: {_name(stem, part)} is not of rank {self.settings.r}")
        if not self.stems:
            raise UnusableAdapter(f"{self.folder} adapts nothing")


def _name(stem: str, part: str) -> str:
    return f"{_PREFIX}{stem}.lora_{part}.weight"


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
