"""Rows as tensors: what a forward pass reads, and what the loss reads beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from services.trainer.learn.layout import MicroBatch, TrainRow
from services.trainer.learn.packing import positions
from wideseek.trajectory import Role

ROLES = tuple(Role)


@dataclass(frozen=True)
class Batch:
    """A micro-batch; n is the number of trained tokens in it, in the order of its rows."""

    input_ids: Tensor
    """`[rows, slots]`, right-padded, without what is shared; `[1, tokens]` when packed."""
    shared: Tensor | None
    """`[1, tokens]`: what all rows begin with; None where each is computed as a whole."""
    position_ids: Tensor | None
    """Of a packed row; None when padded."""
    sources: Tensor
    """`[n]`: the place, counted row after row, whose hidden state predicts the token."""
    targets: Tensor
    """`[n]`: the token."""
    behaviour: Tensor
    weights: Tensor
    advantages: Tensor
    sequences: Tensor
    roles: Tensor
    """`[n]`: place of the role in `ROLES`."""
    counts: tuple[int, ...]
    """Trained tokens of each row."""
    dummy: bool
    """Weights are 0 and nothing of it counts."""


def collate(
    rows: Sequence[TrainRow], micro_batch: MicroBatch, *, packed: bool, device: torch.device, pad: int = 0
) -> Batch:
    """Tensors of one micro-batch; which token pads does not matter, nothing attends to it."""
    mine = [rows[place] for place in micro_batch.rows]
    if micro_batch.dummy:
        mine = [_shortest(row) for row in mine]
    shared = micro_batch.shared
    lengths = [len(row.token_ids) - shared for row in mine]
    width = max(lengths)
    starts = [sum(lengths[:place]) if packed else place * width for place in range(len(mine))]
    trained = [[place for place, marked in enumerate(row.trained) if marked] for row in mine]
    counts = [len(places) for places in trained]
    reals = torch.float64
    if packed:
        ids = [[token for row in mine for token in row.token_ids]]
        position_ids = torch.tensor([positions(lengths)], device=device)
    else:
        ids = [[*row.token_ids[shared:], *[pad] * (width - length)] for row, length in zip(mine, lengths, strict=True)]
        position_ids = None

    def each(values: Sequence[float], dtype: torch.dtype = reals) -> Tensor:
        return torch.tensor(values, dtype=dtype).repeat_interleave(torch.tensor(counts)).to(device)

    return Batch(
        input_ids=torch.tensor(ids, device=device),
        shared=torch.tensor([mine[0].token_ids[:shared]], device=device) if shared else None,
        position_ids=position_ids,
        sources=_flat(
            [[start + p - 1 - shared for p in places] for start, places in zip(starts, trained, strict=True)]
        ).to(device),
        targets=_flat([[row.token_ids[p] for p in places] for row, places in zip(mine, trained, strict=True)]).to(
            device
        ),
        behaviour=torch.tensor(
            [row.behaviour[p] for row, places in zip(mine, trained, strict=True) for p in places], dtype=reals
        ).to(device),
        weights=each([0.0 if micro_batch.dummy else row.weight for row in mine]),
        advantages=each([row.advantage for row in mine]),
        sequences=each([row.sequence for row in mine], torch.int64),
        roles=each([ROLES.index(row.role) for row in mine], torch.int64),
        counts=tuple(counts),
        dummy=micro_batch.dummy,
    )


def _shortest(row: TrainRow) -> TrainRow:
    """Two tokens of a row, the second trained on: the cheapest forward pass that has a gradient."""
    return TrainRow(row.token_ids[:2], (False, True), (0.0, 0.0), 0.0, 0.0, row.role, row.sequence)


def _flat(nested: Sequence[Sequence[int]]) -> Tensor:
    return torch.tensor([value for inner in nested for value in inner], dtype=torch.int64)
