"""Whether attention keeps the rows of a packed row apart, and sees what rows share, tried before anything is trained.

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
_HEAD = 12
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


@torch.no_grad()
def check_sharing(scorer: SampledLogprobs) -> None:
    """Raise `InvalidRequest` where rows behind a shared beginning have other log-probabilities than as a whole."""
    vocabulary = int(scorer.causal.config.get_text_config().vocab_size)
    head = _tokens(vocabulary, _HEAD, seed=9)
    bodies = [_tokens(vocabulary, length, seed=place) for place, length in enumerate(_LENGTHS)]
    rows = [_row(torch.cat([head, body]), untrained=_HEAD + 1) for body in bodies]
    shared, whole = (_logprobs(scorer, rows, packed=False, shared=number) for number in (_HEAD, 0))
    difference = (shared - whole).abs().mean().item()
    if not difference <= _ALIKE[scorer.precision]:
        raise InvalidRequest(
            f"batching.layout: shared gives other log-probabilities with {scorer.causal.config._attn_implementation} "
            f"attention than whole rows, by {difference:.2g}; set it to sorted",
            field="/batching/layout",
        )


def _logprobs(scorer: SampledLogprobs, rows: list[TrainRow], *, packed: bool, shared: int = 0) -> Tensor:
    lengths = [len(row.token_ids) for row in rows]
    slots = sum(lengths) if packed else len(rows) * max(lengths)
    made = MicroBatch(tuple(range(len(rows))), slots, 0.0, shared=shared)
    batch = collate(rows, made, packed=packed, device=scorer.device)
    logprobs: Tensor = scorer(batch.input_ids, batch.position_ids, batch.sources, batch.targets, batch.shared)
    return logprobs.double()


def _row(tokens: Tensor, *, untrained: int = 1) -> TrainRow:
    length = len(tokens)
    trained = (*[False] * untrained, *[True] * (length - untrained))
    return TrainRow(tuple(tokens.tolist()), trained, (0.0,) * length, 0.0, 0.0, Role.SINGLE, 0)


def _tokens(vocabulary: int, count: int, *, seed: int) -> Tensor:
    return torch.randint(vocabulary, (count,), generator=torch.Generator().manual_seed(seed))
