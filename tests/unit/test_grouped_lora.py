"""Adapters of a batch, held against the formula token by token."""

import pytest
import torch
from torch import Tensor

from services.model.grouped_lora import Group, expand, grouped, shrink


def token_by_token(x: Tensor, a: Tensor, b: Tensor, slots: list[int], scale: float) -> Tensor:
    """`B A x` of each token's own adapter, zero where it has none."""
    rows = [
        torch.zeros(b.shape[-2]) if slot < 0 else scale * (b[slot, 0] @ (a[slot, 0] @ token))
        for token, slot in zip(x, slots, strict=True)
    ]
    return torch.stack(rows)


def test_one_product_by_hand() -> None:
    # One token x = (1, 2) with A = (3 4), B = (5 6)^T, scale 2: A x = 11, times 2 is 22; B * 22 = (110, 132).
    a, b = torch.tensor([[[[3.0, 4.0]]]]), torch.tensor([[[[5.0], [6.0]]]])
    buffer, y = torch.zeros(1, 1), torch.tensor([[1.0, 1.0]])
    groups = grouped(torch.tensor([0]))

    shrink(buffer, torch.tensor([[1.0, 2.0]]), a, groups, 2.0)
    expand(y, buffer, b, groups, slice(0, 2), add=True)

    assert buffer.tolist() == [[22.0]]
    assert y.tolist() == [[111.0, 133.0]]


def test_a_batch_of_one_adapter_is_taken_whole() -> None:
    assert grouped(torch.tensor([2, 2, 2])) == (Group(2, slice(None)),)
    assert grouped(torch.tensor([-1, -1])) == ()
    assert grouped(torch.tensor([], dtype=torch.long)) == ()


@pytest.mark.parametrize("slots", [[1, 1, 1, 1], [0, 2, 0, 1], [-1, 2, 2, -1], [-1, -1, -1, -1], [3, -1, 0, 3]])
@pytest.mark.parametrize("add", [True, False])
def test_every_token_gets_its_own_adapter(slots: list[int], add: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    x, a = torch.randn(4, 6, generator=generator), torch.randn(4, 1, 2, 6, generator=generator)
    b, before = torch.randn(4, 1, 5, 2, generator=generator), torch.randn(4, 9, generator=generator)
    buffer, y, groups = torch.zeros(4, 2), before.clone(), grouped(torch.tensor(slots))

    shrink(buffer, x, a, groups, 0.5)
    expand(y, buffer, b, groups, slice(3, 8), add=add)

    changed = token_by_token(x, a, b, slots, 0.5)
    kept = torch.tensor([[1.0 if add or slot < 0 else 0.0] for slot in slots])
    torch.testing.assert_close(y[:, 3:8], before[:, 3:8] * kept + changed)
    torch.testing.assert_close(y[:, :3], before[:, :3], rtol=0, atol=0)
    torch.testing.assert_close(y[:, 8:], before[:, 8:], rtol=0, atol=0)


def test_each_product_is_computed_in_the_precision_it_is_written_in() -> None:
    x, a = torch.full((2, 3), 1.0, dtype=torch.bfloat16), torch.full((1, 1, 2, 3), 0.1, dtype=torch.bfloat16)
    b, y = torch.ones(1, 1, 4, 2, dtype=torch.bfloat16), torch.zeros(2, 4, dtype=torch.bfloat16)
    buffer, groups = torch.zeros(2, 2), grouped(torch.tensor([0, 0]))

    shrink(buffer, x, a, groups, 1.0)
    expand(y, buffer, b, groups, slice(0, 4), add=True)

    torch.testing.assert_close(buffer, 3 * a[0, 0, 0, 0].float().expand(2, 2))
    assert y.dtype == torch.bfloat16
