"""Log-probabilities of sampled positions: the full log-softmax in value and gradient, a chunk at a time."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from services.trainer.learn.batch import collate
from services.trainer.learn.layout import MicroBatch
from services.trainer.learn.logprobs import SampledLogprobs, chunked_logprobs
from tests.learn_parts import CPU, FULL, off, policy, some_rows, tiny_model


class _Watched(nn.Linear):
    """A head that remembers how many positions it was ever asked for at once."""

    most = 0

    def forward(self, input: Tensor) -> Tensor:  # torch's name
        self.most = max(self.most, len(input))
        return super().forward(input)


@pytest.mark.parametrize("temperature", [1.0, 0.4])
@pytest.mark.parametrize("chunk", [1, 7, 64, 1_000])
def test_chunks_change_neither_values_nor_gradients(chunk: int, temperature: float) -> None:
    torch.manual_seed(0)
    head = nn.Linear(16, 211, bias=False, dtype=torch.float64)
    hidden = torch.randn(64, 16, dtype=torch.float64, requires_grad=True)
    targets, upstream = torch.randint(211, (64,)), torch.randn(64, dtype=torch.float64)

    full = (head(hidden) / temperature).log_softmax(-1).gather(-1, targets[:, None])[:, 0]
    wanted = torch.autograd.grad((upstream * full).sum(), [hidden, head.weight])
    parts = chunked_logprobs(head, hidden, targets, chunk, temperature)
    found = torch.autograd.grad((upstream * parts).sum(), [hidden, head.weight])

    assert (parts - full).abs().max() < 1e-12
    assert all(off(mine, full_one) < 1e-9 for mine, full_one in zip(found, wanted, strict=True))


def test_never_more_than_a_chunk_of_logits_exists_at_once() -> None:
    head = _Watched(8, 50)
    hidden = torch.randn(33, 8, requires_grad=True)

    torch.autograd.backward(chunked_logprobs(head, hidden, torch.randint(50, (33,)), 10).sum())

    assert head.most == 10
    assert hidden.grad is not None


def test_the_softmax_of_a_rounded_head_is_taken_in_32_bits() -> None:
    head, hidden = nn.Linear(8, 5_000, dtype=torch.bfloat16), torch.randn(4, 8, dtype=torch.bfloat16)

    logprobs = chunked_logprobs(head, hidden, torch.zeros(4, dtype=torch.int64), 2)

    exact = head(hidden).double().log_softmax(-1)[:, 0]
    assert logprobs.dtype is torch.float32
    assert (logprobs - exact).abs().max() < 1e-5


@pytest.mark.parametrize("family", ["qwen3", "llama"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_sampled_positions_have_the_models_own_logprobs_and_gradients(tmp_path: Path, family: str, tied: bool) -> None:
    scored = policy(tiny_model(tmp_path, family=family, tied=tied), FULL)
    rows = some_rows(count=3)
    batch = collate(rows, MicroBatch((2, 0, 1), 0, 0.0), packed=False, device=CPU)
    trained = [p for p in scored.parameters() if p.requires_grad]

    logits = scored.causal(input_ids=batch.input_ids, use_cache=False).logits
    whole = logits.double().log_softmax(-1).flatten(0, 1)[batch.sources, batch.targets]
    wanted = torch.autograd.grad((batch.weights * whole).sum(), trained)
    found_values = scored(batch.input_ids, None, batch.sources, batch.targets)
    found = torch.autograd.grad((batch.weights * found_values).sum(), trained)

    assert (found_values - whole).abs().max() < 1e-6
    assert all(off(mine, full) < 1e-6 for mine, full in zip(found, wanted, strict=True) if full.norm() > 1e-9)


def test_targets_are_the_tokens_that_were_sampled_each_seen_from_the_place_before_it() -> None:
    rows = some_rows(count=2, low=5, high=9)

    batch = collate(rows, MicroBatch((0, 1), 0, 0.0), packed=False, device=CPU)
    packed = collate(rows, MicroBatch((0, 1), 0, 0.0), packed=True, device=CPU)

    marked = [token for row in rows for token, trained in zip(row.token_ids, row.trained, strict=True) if trained]
    for one in (batch, packed):
        assert one.targets.tolist() == marked
        assert one.input_ids.flatten()[one.sources + 1].tolist() == marked
    assert packed.position_ids is not None
    assert packed.position_ids.tolist() == [[*range(len(rows[0].token_ids)), *range(len(rows[1].token_ids))]]


def test_a_dummy_costs_two_tokens_and_weighs_nothing(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path))
    batch = collate(some_rows(), MicroBatch((3,), 2, 0.0, dummy=True), packed=False, device=CPU)

    (batch.weights * scored(batch.input_ids, None, batch.sources, batch.targets)).sum().backward()

    assert tuple(batch.input_ids.shape) == (1, 2)
    grads = [p.grad for p in scored.parameters() if p.requires_grad]
    assert all(grad is not None and not grad.any() for grad in grads)


def test_a_scorer_is_a_module_whose_parameters_are_the_models(tmp_path: Path) -> None:
    scored = policy(tiny_model(tmp_path), FULL)

    assert isinstance(scored, SampledLogprobs)
    assert sum(p.numel() for p in scored.parameters()) == sum(p.numel() for p in scored.causal.parameters())
