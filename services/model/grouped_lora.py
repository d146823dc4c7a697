"""Adapters of a batch by matrix products, one a group of tokens that share an adapter.

vLLM's own CPU kernels gather both matrices of an adapter anew for every token, so that memory, not arithmetic, bounds a
prompt. Here the tokens of an adapter are multiplied together. With `i(t)` the adapter of token `t` (-1: none), `A` of
shape (slots, 1, rank, inputs) and `B` of shape (slots, 1, outputs, rank):

    buffer[t] = scale * A[i(t)] x[t]        `shrink`
    y[t]     += B[i(t)] buffer[t]           `expand`
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Group:
    """Tokens of a batch that share an adapter."""

    slot: int
    rows: slice | Tensor
    """Where they stand in the batch: all of it, or (tokens,) indices."""


def grouped(slots: Tensor) -> tuple[Group, ...]:
    """Group tokens by slot, given (tokens,) of them; those of -1 have no adapter and are in no group."""
    present = [int(slot) for slot in torch.unique(slots).tolist()]
    if len(present) == 1 and present[0] >= 0:
        return (Group(present[0], slice(None)),)
    return tuple(Group(slot, (slots == slot).nonzero().squeeze(1)) for slot in present if slot >= 0)


def shrink(buffer: Tensor, x: Tensor, a: Tensor, groups: tuple[Group, ...], scale: float) -> None:
    """Fill the (tokens, rank) buffer from (tokens, inputs) of x, in the buffer's precision; other rows stay."""
    for group in groups:
        buffer[group.rows] = scale * (x[group.rows].to(buffer.dtype) @ _matrix(a, group, buffer.dtype).T)


def expand(y: Tensor, buffer: Tensor, b: Tensor, groups: tuple[Group, ...], columns: slice, *, add: bool) -> None:
    """Add to, or fill, some columns of (tokens, outputs) of y from the (tokens, rank) buffer, in y's precision."""
    for group in groups:
        product = buffer[group.rows].to(y.dtype) @ _matrix(b, group, y.dtype).T
        y[group.rows, columns] = y[group.rows, columns] + product if add else product


def _matrix(stacked: Tensor, group: Group, dtype: torch.dtype) -> Tensor:
    return stacked[group.slot].reshape(stacked.shape[-2:]).to(dtype)
