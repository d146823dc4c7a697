"""Packed rows: as good as rows of their own, or the learner does not start."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

from services.trainer.config import BatchingConfig
from services.trainer.learn.batch import collate
from services.trainer.learn.checks import check_packing
from services.trainer.learn.layout import MicroBatch, TrainRow
from services.trainer.learn.logprobs import SampledLogprobs
from services.trainer.learn.model import load_policy
from tests.learn_parts import CPU, LORA, gradient, off, policy, some_rows, tiny_model, updater
from wideseek.errors import InvalidRequest

PACKED = BatchingConfig(layout="packed")


def _logprobs(scored: SampledLogprobs, rows: list[TrainRow]) -> Tensor:
    batch = collate(rows, MicroBatch(tuple(range(len(rows))), 0, 0.0), packed=True, device=CPU)
    with torch.no_grad():
        found: Tensor = scored(batch.input_ids, batch.position_ids, batch.sources, batch.targets)
    return found


def _leaky(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **_: object
) -> tuple[Tensor, None]:
    """Causal attention that knows nothing of where rows start, as a kernel that ignores its mask."""
    groups = query.shape[1] // key.shape[1]
    found = nn.functional.scaled_dot_product_attention(
        query, key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1), is_causal=True
    )
    return found.transpose(1, 2).contiguous(), None


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["qwen3", "llama"])
def test_packed_rows_have_the_gradient_of_padded_ones(tmp_path: Path, family: str, attention: str) -> None:
    folder, rows = tiny_model(tmp_path, family=family), some_rows()
    scored = SampledLogprobs(load_policy(folder, LORA, seed=3, device=CPU, attention=attention).double(), chunk=5)

    packed = gradient(updater(scored, layout="packed", tokens=90), rows)

    assert off(packed, gradient(updater(scored, layout="sorted", tokens=90), rows)) < 1e-5
    assert len(updater(scored, layout="packed", tokens=10_000).plan(rows)[0]) == 1


def test_another_row_in_the_same_pack_changes_nothing(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path))
    first, second = some_rows(count=2)
    other = some_rows(count=1, seed=99, low=len(first.token_ids), high=len(first.token_ids))[0]
    behind = sum(first.trained)

    before = _logprobs(scored, [first, second])[behind:]
    after = _logprobs(scored, [other, second])[sum(other.trained) :]

    assert (after - before).abs().max() <= 1e-6


def test_a_learner_does_not_start_on_attention_that_leaks(tmp_path: Path) -> None:
    AttentionInterface.register("leaky", _leaky)
    AttentionMaskInterface.register("leaky", sdpa_mask)
    model = load_policy(tiny_model(tmp_path), LORA, seed=3, device=CPU, attention="leaky")
    scored = SampledLogprobs(model, chunk=64)

    with pytest.raises(InvalidRequest, match=r"batching\.layout: .*leaky attention lets them see each other.*sorted"):
        updater(scored, layout="packed")
    updater(scored, layout="sorted").step(some_rows(), lr=1e-3)


def test_attention_that_keeps_rows_apart_passes(tmp_path: Path) -> None:
    exact = policy(tiny_model(tmp_path), double=False)
    rough = policy(tmp_path, LORA.model_copy(update={"precision": "bfloat16"}), double=False)

    check_packing(exact, PACKED)
    check_packing(rough, PACKED)


def test_rows_are_padded_where_attention_has_no_varlen_kernel(tmp_path: Path) -> None:
    assert not updater(policy(tiny_model(tmp_path)), layout="auto").packed
