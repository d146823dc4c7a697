"""The policy a step has made, as engines load it: a LoRA adapter in PEFT's format, or a whole model.

The files depend on the weights and on nothing else: no date, no path, no order of a set. An adapter names no base
(its manifest of publication does). A whole model is written with its head untied, because engines that reload
weights in place keep the old head of a tied one.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import save_file
from torch import Tensor, nn

from services.trainer.config import ModelConfig
from services.trainer.learn.model import ADAPTER
from services.trainer.learn.ranks import Ranks
from services.trainer.learn.sharding import trainable, whole

ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
_NOT_COPIED = (".safetensors", ".safetensors.index.json", ".bin", ".pt", ".gguf")
_OWN = frozenset({"config.json", "MODEL.json", "README.md"})


def export_policy(model: nn.Module, config: ModelConfig, base: Path, target: Path, ranks: Ranks) -> None:
    """Write the policy into a folder that is made for it. Every rank must call it; rank 0 writes."""
    if ranks.leads:
        target.mkdir(parents=True)
    dtype = getattr(torch, config.precision)
    tensors: dict[str, Tensor] = {}
    for name, value in _exported(model):
        # Gathered one at a time: the others' copies are let go of at once.
        full = whole(value)
        if ranks.leads:
            tensors[name] = full.to("cpu", dtype, copy=True).contiguous()
    if not ranks.leads:
        return
    if config.adaptation == "lora":
        save_file(dict(sorted(tensors.items())), target / ADAPTER_WEIGHTS, metadata={"format": "pt"})
        _write_json(target / ADAPTER_CONFIG, adapter_config(config))
    else:
        save_file(dict(sorted(tensors.items())), target / "model.safetensors", metadata={"format": "pt"})
        _write_json(target / "config.json", _untied(base, config))
        copy_companions(base, target)


def adapter_config(config: ModelConfig) -> dict[str, Any]:
    """`adapter_config.json`: what PEFT and vLLM need to know of an adapter."""
    return {
        "base_model_name_or_path": None,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": config.lora_rank,
        "target_modules": sorted(config.lora_targets),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }


def copy_companions(base: Path, target: Path) -> None:
    """Copy what a model folder holds beside weights and configuration: tokenizer, template, generation settings."""
    for path in sorted(base.iterdir()):
        if path.is_file() and path.name not in _OWN and not path.name.endswith(_NOT_COPIED):
            shutil.copyfile(path, target / path.name)


def _exported(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    if isinstance(model, PeftModel):
        for name, value in trainable(model).items():
            yield name.replace(f".{ADAPTER}.weight", ".weight"), value
        return
    seen = dict(model.named_parameters())
    yield from seen.items()
    for name, buffer in model.named_buffers():
        if name in model.state_dict():
            yield name, buffer
    if "lm_head.weight" not in seen:
        head: Any = model.get_output_embeddings()  # type: ignore[operator]
        yield "lm_head.weight", head.weight


def _untied(base: Path, config: ModelConfig) -> dict[str, Any]:
    written: dict[str, Any] = json.loads((base / "config.json").read_text())
    written.pop("torch_dtype", None)
    return {**written, "tie_word_embeddings": False, "dtype": config.precision}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
