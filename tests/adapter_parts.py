"""LoRA adapters of invented numbers, written without torch, for tests of what engines are given."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from services.model.shipped import CARD, CONFIG, WEIGHTS
from services.model.tensors import Bfloat16, TensorFile, write_tensors

LINEARS = (
    *(f"self_attn.{name}_proj" for name in "qkvo"),
    *(f"mlp.{name}_proj" for name in ("gate", "up", "down")),
)


def write_adapter(
    folder: Path,
    base: Path,
    *,
    rank: int = 4,
    alpha: float = 8,
    round_numbers: bool = False,
    half: bool = True,
    seed: int = 5,
) -> Path:
    """An adapter of every linear of a base's folder.

    `round_numbers`: such that every sum is exact in float32, in whatever order it is taken. `half`: in bfloat16.
    """
    folder.mkdir(parents=True)
    source = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray[Any, np.dtype[np.float32]]] = {}
    for name, shape in TensorFile.open(base / "model.safetensors").shapes.items():
        stem = name.removesuffix(".weight")
        if not stem.endswith(LINEARS):
            continue
        for part, size in (("A", (rank, shape[1])), ("B", (shape[0], rank))):
            drawn = source.integers(-4, 5, size) / 64 if round_numbers else source.normal(0, 0.05, size)
            tensors[f"base_model.model.{stem}.lora_{part}.weight"] = drawn.astype(np.float32)
    if half:
        write_tensors({name: Bfloat16.of(value) for name, value in tensors.items()}, folder / WEIGHTS)
    else:
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    settings = {
        "base_model_name_or_path": None,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": rank,
        "target_modules": sorted(name.rpartition(".")[2] for name in LINEARS),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }
    (folder / CONFIG).write_text(json.dumps(settings))
    return folder


def write_card(folder: Path, **values: Any) -> Path:
    """The policy's `POLICY.json`, true of the adapter beside it unless told otherwise."""
    sha256 = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    (folder / CARD).write_text(json.dumps({"name": "trained", "adapter_sha256": sha256, **values}))
    return folder


def with_record(base: Path) -> Path:
    """A base's folder with the `MODEL.json` that names its hash."""
    sha256 = hashlib.sha256((base / "model.safetensors").read_bytes()).hexdigest()
    (base / "MODEL.json").write_text(json.dumps({"name": "smollm2", "sha256": sha256}))
    return base
