"""What a job will cost: tokens, floating-point operations, memory, hours.

    row tokens of a step  = B * tokens of a rollout
    operations of a step  = c * P * row tokens        c = 6 (full), 4 (LoRA), + 2 with activation checkpointing
    bytes                 = P * (weight bytes) + T * (4 weights + 4 gradient + 8 AdamW) + logits of one chunk

P parameters, T trained ones; a token costs 2P forward, 2P for the gradient of activations and, where all weights are
trained, 2P for theirs (Kaplan et al., arXiv:2001.08361, section 2.1). Attention's quadratic part and activations are
left out: for rows of some thousand tokens they are small beside the rest.
"""

import json
import struct
from pathlib import Path
from typing import Literal

from services.trainer.config import JobConfig
from services.trainer.jobs.assumptions import Assumptions
from wideseek.values import Frozen

ASSUMED_TOKENS = 20_000
"""Unique tokens of a rollout where nothing was measured yet: ten subagents of some 1,500 tokens, and the lead."""
_FORWARD, _BACKWARD_ACTIVATIONS, _BACKWARD_WEIGHTS = 2, 2, 2
_SPEED = {
    ("cpu", "bfloat16"): 1.6e11,
    ("cpu", "float32"): 5e10,
    ("cuda", "bfloat16"): 4e14,
    ("cuda", "float32"): 2.7e13,
}
"""Operations a second. CPU: two cores, from the tokens a second of `benchmarks/learner.py` (SmolLM2: 309 with LoRA in
bfloat16, 109 in float32). CUDA: 40 % of an H100's peak, not measured here."""


class Estimate(Frozen):
    """A job's cost, as far as it can be known before it runs."""

    parameters: int | None
    """P; None when the base is not on this machine."""
    trained_parameters: int | None
    rollouts_per_step: int
    rollouts: int
    tokens_per_rollout: int
    tokens_source: str
    """Where that number comes from: `measured on 120 rollouts`, or `assumed`."""
    row_tokens: int
    """Of all steps."""
    operations: float | None
    device: Literal["cpu", "cuda"]
    learner_hours: float | None
    """Of one learner process at the stated speed; the rollouts come on top and usually take longer."""
    operations_per_second: float
    learner_gib: float | None
    """Memory of one learner process, activations aside."""
    adapter_mib: float | None
    """Size of one published policy."""


class Measured(Frozen):
    """What earlier rollouts say."""

    rollouts: int
    tokens_per_rollout: float
    """Median of unique tokens."""


def estimate(
    job: JobConfig,
    base: Path | None,
    measured: Measured | None,
    *,
    accelerator: bool,
    assumed: Assumptions | None = None,
) -> Estimate:
    """The cost of a job on `base`, a folder with safetensors, or None where that is not at hand.

    `assumed` stands in for what is not: the base's shape, the size of a rollout nobody measured, the learner's speed.
    """
    shapes = tensor_shapes(base) if base else assumed.architecture.shapes() if assumed else {}
    parameters = sum(_size(shape) for shape in shapes.values()) or None
    trained = _trained(job, shapes) if parameters else None
    rollouts = job.planned if job.mode == "grpo" else job.sft_rows_per_step
    tokens = round(measured.tokens_per_rollout) if measured else _assumed_tokens(job, assumed)
    device: Literal["cpu", "cuda"] = "cuda" if job.hardware.device == "cuda" or accelerator else "cpu"
    row_tokens = rollouts * job.steps * tokens
    operations = float(_per_token(job) * parameters * row_tokens) if parameters else None
    processes = job.hardware.processes * job.hardware.nodes
    speed = assumed.learner_flops.value if assumed else _SPEED[device, job.model.precision]
    return Estimate(
        parameters=parameters,
        trained_parameters=trained,
        rollouts_per_step=rollouts,
        rollouts=rollouts * job.steps,
        tokens_per_rollout=tokens,
        tokens_source=f"measured on {measured.rollouts} rollouts" if measured else "assumed",
        row_tokens=row_tokens,
        operations=operations,
        device=device,
        learner_hours=operations / speed / processes / 3_600 if operations else None,
        operations_per_second=speed,
        learner_gib=_memory(job, parameters, trained or 0, shapes) / processes / 2**30 if parameters else None,
        adapter_mib=(trained or 0) * (2 if job.model.precision == "bfloat16" else 4) / 2**20 if parameters else None,
    )


def tensor_shapes(base: Path) -> dict[str, tuple[int, ...]]:
    """Shape by name of every tensor in a folder's safetensors files, read from their headers alone."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(base.glob("*.safetensors")):
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(size))
        shapes |= {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    return shapes


def _assumed_tokens(job: JobConfig, assumed: Assumptions | None) -> int:
    if assumed is None:
        return ASSUMED_TOKENS
    return round((assumed.unique_tokens if job.mode == "grpo" else assumed.demonstration_tokens).value)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size


def _trained(job: JobConfig, shapes: dict[str, tuple[int, ...]]) -> int:
    """All parameters, or r (in + out) for each adapted matrix."""
    if job.model.adaptation == "full":
        return sum(_size(shape) for shape in shapes.values())
    adapted = [
        shape
        for name, shape in shapes.items()
        if len(shape) == 2 and name.removesuffix(".weight").rsplit(".", 1)[-1] in job.model.lora_targets
    ]
    return sum(job.model.lora_rank * (rows + columns) for rows, columns in adapted)


def _per_token(job: JobConfig) -> int:
    full = _BACKWARD_WEIGHTS if job.model.adaptation == "full" else 0
    again = _FORWARD if job.batching.activation_checkpointing else 0
    return _FORWARD + _BACKWARD_ACTIVATIONS + full + again


def _memory(job: JobConfig, parameters: int, trained: int, shapes: dict[str, tuple[int, ...]]) -> float:
    weight_bytes = 2 if job.model.precision == "bfloat16" else 4
    frozen = parameters - trained if job.model.adaptation == "full" else parameters
    vocabulary = max((shape[0] for name, shape in shapes.items() if "embed" in name and len(shape) == 2), default=0)
    logits = 2 * 4 * job.batching.logprob_chunk * vocabulary
    return frozen * weight_bytes + trained * (4 + 4 + 8) + logits
