"""An adapter worked into its base, for engines that serve one model and no adapters.

    W' = W + (alpha / r) B A        in float32, by tensor; everything else is copied

Source: Hu et al. 2021, "LoRA", section 4.1.
"""

import json
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from services.trainer.learn.adapters import ADAPTER_CONFIG, ADAPTER_WEIGHTS, copy_companions
from services.trainer.learn.base import weight_files
from services.trainer.learn.durable import whole_folder
from wideseek.errors import InvalidRequest

_PREFIX = "base_model.model."


def merge_adapter(
    base: Path, adapter: Path, target: Path, *, dtype: Literal["float32", "bfloat16"] = "float32"
) -> None:
    """Write the model that `base` with `adapter` is into the folder `target`, all of it or nothing.

    `dtype` is the format the weights are kept in; float32 keeps log-probabilities to 1e-6, bfloat16 rounds them.
    Raises `InvalidRequest` for an adapter of another kind or of another base.
    """
    settings = json.loads((adapter / ADAPTER_CONFIG).read_text())
    _check(settings, adapter)
    scale = settings["lora_alpha"] / settings["r"]
    parts = load_file(adapter / ADAPTER_WEIGHTS)
    left = {name.removeprefix(_PREFIX).removesuffix(".lora_A.weight") for name in parts if ".lora_A." in name}
    with whole_folder(target) as folder:
        for path in weight_files(base):
            merged = _merged(path, parts, scale, getattr(torch, dtype))
            left -= {name.removesuffix(".weight") for name in merged}
            save_file(merged, folder / path.name, metadata={"format": "pt"})
        if left:
            raise InvalidRequest(f"{adapter} adapts {sorted(left)[0]}, which {base} does not have: another base's")
        for index in base.glob("*.safetensors.index.json"):
            (folder / index.name).write_bytes(index.read_bytes())
        config = json.loads((base / "config.json").read_text())
        config.pop("torch_dtype", None)
        (folder / "config.json").write_text(json.dumps({**config, "dtype": dtype}, indent=2, sort_keys=True) + "\n")
        copy_companions(base, folder)


def _merged(path: Path, parts: dict[str, Tensor], scale: float, dtype: torch.dtype) -> dict[str, Tensor]:
    written: dict[str, Tensor] = {}
    with safe_open(path, framework="pt") as file:
        for name in sorted(file.keys()):
            weight: Tensor = file.get_tensor(name).float()
            stem = _PREFIX + name.removesuffix(".weight")
            if (down := parts.get(f"{stem}.lora_A.weight")) is not None:
                up = parts[f"{stem}.lora_B.weight"]
                if (up.shape[0], down.shape[1]) != tuple(weight.shape):
                    raise InvalidRequest(f"the adapter's {name} is of another size: it belongs to another base")
                weight = weight + scale * (up.float() @ down.float())
            written[name] = weight.to(dtype).contiguous()
    return written


def _check(settings: dict[str, Any], adapter: Path) -> None:
    for key in ("use_dora", "use_rslora", "fan_in_fan_out", "modules_to_save"):
        if settings.get(key):
            raise InvalidRequest(f"{adapter} has {key} set, which is not merged here; train it without")
