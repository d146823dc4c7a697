"""Which rows are computed together, and on which rank. Nothing here changes the gradient.

Rows of like length share a right-padded micro-batch; where attention knows sequence boundaries, rows are laid end to
end instead (`packing`); and rows that begin alike can have that computed once (`sharing`). A micro-batch of n rows
padded to S costs

    n (alpha S + gamma S^2) + c        dense layers, attention, and what starting one costs

and micro-batches are dealt by longest processing time first, the same number to every rank: collectives must match,
so short ranks compute dummies of weight 0. Source: the batching of `docs/training.md`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from services.trainer.config import BatchingConfig
from services.trainer.learn.packing import best_fit
from services.trainer.learn.sharing import clusters, common_prefix
from wideseek.errors import ContractViolation
from wideseek.trajectory import Role

LAUNCH_TOKENS = 64
"""c, in tokens: below it, padding a row costs less than another micro-batch."""


@dataclass(frozen=True, slots=True)
class TrainRow:
    """One row to train on: an agent's merged turns, or what one of its forks adds."""

    token_ids: tuple[int, ...]
    trained: tuple[bool, ...]
    """Which tokens were sampled and are trained on; never the first, which nothing predicts."""
    behaviour: tuple[float, ...]
    """Log-probabilities when sampled; 0.0 where not sampled."""
    weight: float
    """Of one trained token."""
    advantage: float
    """Of every trained token; 1 in supervised mode."""
    role: Role
    sequence: int
    """The agent of the step that the row belongs to: rows of one agent share it."""
    minibatch: int = 0
    """The optimiser step of the manifest that the row belongs to."""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Rows computed in one forward pass."""

    rows: tuple[int, ...]
    """Places in the sequence of rows that was planned."""
    slots: int
    """Token slots computed, padding included."""
    cost: float
    dummy: bool = False
    """Computed with weight 0 for the sake of collectives only."""
    shared: int = 0
    """Tokens that all rows begin with and that are computed once."""


def plan(
    rows: Sequence[TrainRow],
    config: BatchingConfig,
    *,
    ranks: int = 1,
    packed: bool = False,
    shared: bool = False,
    together: bool = False,
    quadratic: float = 0.0,
) -> list[list[MicroBatch]]:
    """Micro-batches of each rank, equally many, costly ones first; rows without a trained token are left out.

    `packed`: laid end to end instead of padded. `shared`: what rows begin with is computed once. `together`, of the
    other two: rows of one sequence share a micro-batch, even beyond the token budget. `quadratic`: gamma / alpha, the
    share of attention a token of context adds.

    Raises `ContractViolation` for a row that is too long or malformed.
    """
    for place, row in enumerate(rows):
        _check(row, place, config.max_row_tokens)
    if shared:
        return _deal(list(_shared(rows, config.tokens, quadratic)), ranks, rows)
    units = _units(rows, together=together)
    lengths = [[len(rows[place].token_ids) for place in unit] for unit in units]
    if packed:
        bins = best_fit([sum(unit) for unit in lengths], config.tokens)
    else:
        bins = _sorted(lengths, config.tokens, quadratic)
    made = [_micro_batch([units[u] for u in one], rows, packed, quadratic) for one in bins]
    return _deal(made, ranks, rows)


def padding_share(rows: Sequence[TrainRow], micro_batches: Iterable[MicroBatch]) -> float:
    """Share of computed token slots that hold padding; 0 for nothing."""
    real = [batch for batch in micro_batches if not batch.dummy]
    slots = sum(batch.slots for batch in real)
    used = sum(len(rows[place].token_ids) for batch in real for place in batch.rows) - spared_tokens(real)
    return 1 - used / slots if slots else 0.0


def spared_tokens(micro_batches: Iterable[MicroBatch]) -> int:
    """Row tokens that were not computed because another row of their micro-batch begins with them."""
    return sum(batch.shared * (len(batch.rows) - 1) for batch in micro_batches)


def unique_tokens(rows: Iterable[TrainRow]) -> int:
    """Tokens of the rows, a prefix that rows of one sequence share counted once: nodes of the sequences' tries.

    Sorted rows of one sequence share with all rows before them no more than with the one just before:
    unique = sum of lengths - sum of common prefixes of neighbours.
    """
    by_sequence: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for row in rows:
        by_sequence[row.sequence].append(row.token_ids)
    return sum(_nodes(sorted(group)) for group in by_sequence.values())


def _nodes(ordered: list[tuple[int, ...]]) -> int:
    shared = sum(common_prefix(a, b) for a, b in pairwise(ordered))
    return sum(map(len, ordered)) - shared


def _check(row: TrainRow, place: int, longest: int) -> None:
    if len(row.token_ids) > longest:
        raise ContractViolation(
            f"row {place} has {len(row.token_ids)} tokens, batching.max_row_tokens is {longest}: "
            "raise it, or lower the limits of the rollouts"
        )
    if not len(row.token_ids) == len(row.trained) == len(row.behaviour):
        raise ContractViolation(
            f"row {place} has {len(row.token_ids)} tokens, {len(row.trained)} marks and "
            f"{len(row.behaviour)} log-probabilities: they must be equally many"
        )
    if row.trained and row.trained[0]:
        raise ContractViolation(f"row {place} trains on its first token, which nothing predicts")


def _units(rows: Sequence[TrainRow], *, together: bool) -> list[list[int]]:
    """Rows that may not be parted, the longest first; ties by place, so that a plan is the same everywhere."""
    trained = [place for place, row in enumerate(rows) if any(row.trained)]
    groups: dict[int, list[int]] = defaultdict(list)
    for place in trained:
        groups[rows[place].sequence if together else place].append(place)
    for group in groups.values():
        group.sort(key=lambda place: (-len(rows[place].token_ids), place))
    return sorted(groups.values(), key=lambda group: (-len(rows[group[0]].token_ids), group[0]))


def _shared(rows: Sequence[TrainRow], tokens: int, quadratic: float) -> Iterator[MicroBatch]:
    """Micro-batches of rows that begin alike, each cluster cut by length where it is beyond the token budget."""
    trained = [place for place, row in enumerate(rows) if any(row.trained)]
    lengths = [len(rows[place].token_ids) for place in trained]
    # What predicts the first trained token belongs to the row itself.
    heads = [rows[place].token_ids[: rows[place].trained.index(True) - 1] for place in trained]
    for mine, head in clusters(heads, lengths, LAUNCH_TOKENS):
        order = sorted(mine, key=lambda place: (-lengths[place], place))
        rest = [[lengths[place] - head] for place in order]
        for one in _sorted(rest, max(tokens - head, 1), quadratic, launch=LAUNCH_TOKENS + head):
            places = tuple(trained[order[unit]] for unit in one)
            longest, shared = rest[one[0]][0], head if len(one) > 1 else 0
            slots = shared + len(one) * (longest + head - shared)
            yield MicroBatch(places, slots, _cost(len(one), longest, quadratic) + head, shared=shared)


def _sorted(
    lengths: Sequence[Sequence[int]], tokens: int, quadratic: float, *, launch: float = LAUNCH_TOKENS
) -> list[list[int]]:
    """Cut length-sorted units where the sum of costs is least (dynamic programme over the cuts)."""
    best = [0.0] + [float("inf")] * len(lengths)
    cut = [0] * (len(lengths) + 1)
    for start in range(len(lengths)):
        longest, count = lengths[start][0], 0
        for end in range(start, len(lengths)):
            count += len(lengths[end])
            if end > start and count * longest > tokens:
                break
            cost = best[start] + _cost(count, longest, quadratic, launch)
            if cost < best[end + 1]:
                best[end + 1], cut[end + 1] = cost, start
    bins, end = [], len(lengths)
    while end:
        bins.append(list(range(cut[end], end)))
        end = cut[end]
    return bins[::-1]


def _cost(count: int, length: int, quadratic: float, launch: float = LAUNCH_TOKENS) -> float:
    return count * (length + quadratic * length * length) + launch


def _micro_batch(
    units: Sequence[Sequence[int]], rows: Sequence[TrainRow], packed: bool, quadratic: float
) -> MicroBatch:
    places = tuple(place for unit in units for place in unit)
    lengths = [len(rows[place].token_ids) for place in places]
    if packed:
        cost = sum(_cost(1, length, quadratic) - LAUNCH_TOKENS for length in lengths) + LAUNCH_TOKENS
        return MicroBatch(places, sum(lengths), cost)
    return MicroBatch(places, len(lengths) * max(lengths), _cost(len(lengths), max(lengths), quadratic))


def _deal(made: Sequence[MicroBatch], ranks: int, rows: Sequence[TrainRow]) -> list[list[MicroBatch]]:
    """Longest processing time first; short ranks are filled up with dummies."""
    dealt: list[list[MicroBatch]] = [[] for _ in range(ranks)]
    load = [0.0] * ranks
    for batch in sorted(made, key=lambda batch: (-batch.cost, batch.rows)):
        rank = min(range(ranks), key=lambda rank: (load[rank], rank))
        dealt[rank].append(batch)
        load[rank] += batch.cost
    if made:
        shortest = min((place for batch in made for place in batch.rows), key=lambda p: (len(rows[p].token_ids), p))
        dummy = MicroBatch((shortest,), 2, 0.0, dummy=True)
        most = max(map(len, dealt))
        for mine in dealt:
            mine.extend([dummy] * (most - len(mine)))
    return dealt
