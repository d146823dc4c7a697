"""How fast adapters are applied: vLLM's CPU kernels, which gather matrices token by token, against `grouped_lora`.

    .venv-model/bin/python -m benchmarks.grouped_lora

A layer of SmolLM2 (576 inputs, 1,536 outputs), rank 16, bfloat16, one adapter: 512 tokens as of a prompt, 32 as of
sequences that decode side by side. Prints medians of one run in milliseconds, and their ratio.
"""

import statistics
import time
from collections.abc import Callable

import torch
from vllm.lora.ops.torch_ops import bgmv_expand_slice, bgmv_shrink

from services.model.grouped_lora import expand, grouped, shrink

INPUTS, OUTPUTS, RANK, SLOTS, REPEATS = 576, 1_536, 16, 4, 31


def compare(tokens: int) -> tuple[float, float]:
    """Median milliseconds of vLLM's kernels and of ours."""
    x = torch.randn(tokens, INPUTS).bfloat16()
    a, b = torch.randn(SLOTS, 1, RANK, INPUTS).bfloat16(), torch.randn(SLOTS, 1, OUTPUTS, RANK).bfloat16()
    slots, buffer, y = torch.full((tokens,), 1), torch.zeros(tokens, RANK), torch.zeros(tokens, OUTPUTS).bfloat16()

    def gathered() -> None:
        bgmv_shrink(x, a, buffer, slots, 2.0)
        bgmv_expand_slice(buffer, b, y, slots, 0, OUTPUTS, True)

    def together() -> None:
        groups = grouped(slots)
        shrink(buffer, x, a, groups, 2.0)
        expand(y, buffer, b, groups, slice(0, OUTPUTS), add=True)

    return _median(gathered), _median(together)


def _median(step: Callable[[], None]) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        step()
        times.append(1_000 * (time.perf_counter() - started))
    return statistics.median(times)


if __name__ == "__main__":
    for count in (512, 32):
        theirs, ours = compare(count)
        print(f"{count} tokens: gathered {theirs:.2f} ms, together {ours:.2f} ms, {theirs / ours:.1f} times as fast")
