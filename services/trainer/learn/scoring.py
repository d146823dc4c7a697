"""Log-probabilities of given tokens, as the conductor asks for them between steps: no gradient, nothing changed."""

from collections.abc import Sequence

import torch

from services.trainer.folder import ScoreReply, ScoreRequest, ScoreRow
from services.trainer.learn.batch import collate
from services.trainer.learn.layout import TrainRow, plan
from services.trainer.learn.model import causal_of
from services.trainer.learn.policy import Policy
from services.trainer.learn.sharding import reshard
from wideseek.errors import ContractViolation
from wideseek.trajectory import Role


def answer(policy: Policy, request: ScoreRequest) -> ScoreReply:
    """The reply to a request. Every rank must call it with the same request.

    Raises `ContractViolation` for a step without weights, a row that is too long, a token the model does not know.
    """
    embedded = int(causal_of(policy.scorer.model).config.get_text_config().vocab_size)
    for row in request.rows:
        if any(not 0 <= token < embedded for token in row.token_ids):
            raise ContractViolation(f"a token id is outside of the model's {embedded}")
    with policy.at(request.step):
        logprobs = _scored(policy, [_row(row, place) for place, row in enumerate(request.rows)])
    return ScoreReply(step=request.step, logprobs=logprobs, precision=policy.config.model.precision)


@torch.no_grad()
def _scored(policy: Policy, rows: Sequence[TrainRow]) -> tuple[tuple[float, ...], ...]:
    ranks, packed = policy.ranks, policy.update.packed
    dealt = plan(rows, policy.config.batching, ranks=ranks.world, packed=packed)
    mine: dict[int, tuple[float, ...]] = {}
    for micro_batch in dealt[ranks.rank]:
        batch = collate(rows, micro_batch, packed=packed, device=policy.scorer.device)
        values = policy.scorer(batch.input_ids, batch.position_ids, batch.sources, batch.targets)
        if not micro_batch.dummy:
            parts = values.double().cpu().split(list(batch.counts))
            mine |= {place: tuple(part.tolist()) for place, part in zip(micro_batch.rows, parts, strict=True)}
    reshard(policy.scorer)
    found = {place: values for part in ranks.collect(mine) for place, values in part.items()}
    return tuple(found.get(place, ()) for place in range(len(rows)))


def _row(row: ScoreRow, place: int) -> TrainRow:
    length = len(row.token_ids)
    trained = tuple(position >= row.start for position in range(length))
    return TrainRow(row.token_ids, trained, (0.0,) * length, 0.0, 0.0, Role.SINGLE, place)
