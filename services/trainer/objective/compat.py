"""The weights that RLinf's shipped configuration has in effect, to replicate its curves and to measure against.

Its loss is a masked mean over each micro-batch, divided by the number of micro-batches. A token of a row of L tokens
then weighs

    [1 / (B N L)] * (L / n) * (S / M)        L: of the row's agent in the bracket, of the row behind it
    n trained tokens of its micro-batch, S rows, M micro-batches, both of the step

so that long agents gain and the weight depends on the layout. Source: RLinf at commit a3816b5, `masked_mean` in
`rlinf/utils/utils.py` with `split_dynamic_batch_size`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from services.trainer.config import WeightsConfig
from services.trainer.objective.batch import RolloutShape
from services.trainer.objective.weights import token_weights


class RowOf(NamedTuple):
    """A row as far as its weight depends on it."""

    rollout_id: str
    agent_id: str
    trained_tokens: int


def layout_factors(microbatches: Sequence[Sequence[int]]) -> list[list[float]]:
    """What the layout multiplies the weight of a row's tokens by: (L / n) * (S / M).

    Takes and returns a number a row, micro-batch by micro-batch; rows and micro-batches without trained tokens count
    in neither S nor M and get 0.
    """
    rows = sum(tokens > 0 for batch in microbatches for tokens in batch)
    batches = sum(any(batch) for batch in microbatches)
    return [[tokens / sum(batch) * rows / batches if tokens else 0.0 for tokens in batch] for batch in microbatches]


def reference_compat_weights(
    rollouts: Sequence[RolloutShape], planned: int, *, microbatches: Sequence[Sequence[RowOf]]
) -> list[list[float]]:
    """The effective weight of one trained token of every row, in the shape of `microbatches`.

    Raises KeyError for a row of an agent that is not among the rollouts'.
    """
    intended = token_weights(rollouts, WeightsConfig(), planned)
    factors = layout_factors([[row.trained_tokens for row in batch] for batch in microbatches])
    return [
        [intended[row.rollout_id, row.agent_id] * factor for row, factor in zip(batch, given, strict=True)]
        for batch, given in zip(microbatches, factors, strict=True)
    ]
