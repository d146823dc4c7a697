"""Whether attention keeps the rows of a packed row apart, tried out before anything is trained.

Where it does not, nothing fails: the loss looks fine and the gradient is wrong.
"""

import torch
from torch import Tensor

from services.trainer.config import BatchingConfig
from services.trainer.learn.batch import collate
from services.trainer.learn.layout import MicroBatch, TrainRow
from services.trainer.learn.logprobs import SampledLogprobs
from services.trainer.learn.sharding import reshard
from wideseek.errors import InvalidRequest
from wideseek.trajectory import Role

_LENGTHS = (17, 9, 23)
_ALIKE = {"float32": 1e-4, "bfloat16": 0.1}
"""Mean |difference of log-probabilities| that another order of summation explains; a leak is far above it."""
_LEAK = 1e-6
"""In the same kernel on the same shapes nothing but a leak makes a difference."""


@torch.no_grad()
def check_packing(scorer: SampledLogprobs, batching: BatchingConfig) -> None:
    """Raise `InvalidRequest` where a packed row's log-probabilities differ from those of its parts.

    Two things are tried with the weights and the attention in use: packed against padded, and whether another first
    row changes the log-probabilities of the rows after it.
    """
    vocabulary = int(scorer.causal.config.get_text_config().vocab_size)
    rows = [_row(_tokens(vocabulary, length, seed=place)) for place, length in enumerate(_LENGTHS)]
    other = [_row(_tokens(vocabulary, _LENGTHS[0], seed=9)), *rows[1:]]
    packed, padded = _logprobs(scorer, rows, packed=True), _logprobs(scorer, rows, packed=False)
    difference = (packed - padded).abs().mean().item()
    behind = _LENGTHS[0] - 1
    leak = (packed - _logprobs(scorer, other, packed=True))[behind:].abs().max().item()
    reshard(scorer)
    if not (difference <= _ALIKE[scorer.precision] and leak <= _LEAK):
        raise InvalidRequest(
            f"batching.layout: {batching.layout} would lay rows end to end, but "
            f"{scorer.causal.config._attn_implementation} attention lets them see each other: log-probabilities differ "
            f"by {difference:.2g} from unpacked ones, by {leak:.2g} when another row changes; set it to sorted",
            field="/batching/layout",
        )


def _logprobs(scorer: SampledLogprobs, rows: list[TrainRow], *, packed: bool) -> Tensor:
    lengths = [len(row.token_ids) for row in rows]
    slots = sum(lengths) if packed else len(rows) * max(lengths)
    batch = collate(rows, MicroBatch(tuple(range(len(rows))), slots, 0.0), packed=packed, device=scorer.device)
    logprobs: Tensor = scorer(batch.input_ids, batch.position_ids, batch.sources, batch.targets)
    return logprobs.double()


def _row(tokens: Tensor) -> TrainRow:
    length = len(tokens)
    return TrainRow(tuple(tokens.tolist()), (False, *[True] * (length - 1)), (0.0,) * length, 0.0, 0.0, Role.SINGLE, 0)


def _tokens(vocabulary: int, count: int, *, seed: int) -> Tensor:
    return torch.randint(vocabulary, (count,), generator=torch.Generator().manual_seed(seed))
