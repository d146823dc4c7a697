"""Layouts: which rows are computed together. Hand-made lengths, and mixes as long rollouts give them."""

import random
from itertools import pairwise

import pytest

from services.trainer.config import BatchingConfig
from services.trainer.learn.layout import LAUNCH_TOKENS, TrainRow, padding_share, plan, unique_tokens
from services.trainer.learn.packing import best_fit, positions
from wideseek.errors import ContractViolation
from wideseek.trajectory import Role


def _row(length: int, *, sequence: int = 0, tokens: tuple[int, ...] | None = None) -> TrainRow:
    trained = (False, *[True] * (length - 1))
    return TrainRow(tokens or tuple(range(length)), trained, (0.0,) * length, 0.1, 1.0, Role.LEAD, sequence)


def _rows(lengths: list[int]) -> list[TrainRow]:
    return [_row(length, sequence=place) for place, length in enumerate(lengths)]


def _skewed(count: int, seed: int) -> list[int]:
    dice = random.Random(seed)
    return [min(max(int(dice.lognormvariate(8.9, 0.75)), 200), 32_000) for _ in range(count)]


def test_rows_of_like_length_share_a_micro_batch() -> None:
    rows = _rows([100, 500, 101, 502])

    (mine,) = plan(rows, BatchingConfig(tokens=1_100))

    assert [batch.rows for batch in mine] == [(3, 1), (2, 0)]
    assert [batch.slots for batch in mine] == [1_004, 202]
    assert padding_share(rows, mine) == pytest.approx(3 / 1_206)


def test_a_micro_batch_keeps_to_its_tokens_unless_one_row_is_longer() -> None:
    rows = _rows([30, 900, 31, 33, 32])

    (mine,) = plan(rows, BatchingConfig(tokens=70))

    assert sorted((batch.rows, batch.slots) for batch in mine) == [((1,), 900), ((2, 0), 62), ((3, 4), 66)]


def test_a_row_joins_a_longer_one_only_where_its_padding_is_cheaper_than_another_micro_batch() -> None:
    near, far = _rows([500, 500 - LAUNCH_TOKENS + 1]), _rows([500, 500 - LAUNCH_TOKENS - 1])

    together, apart = plan(near, BatchingConfig()), plan(far, BatchingConfig())

    assert [len(together[0]), len(apart[0])] == [1, 2]


@pytest.mark.parametrize("count", [32, 128, 778])
@pytest.mark.parametrize("packed", [False, True], ids=["sorted", "packed"])
def test_padding_is_at_most_two_per_cent_on_skewed_lengths(count: int, packed: bool) -> None:
    rows = _rows(_skewed(count, seed=count))

    (mine,) = plan(rows, BatchingConfig(tokens=32_000), packed=packed)

    assert padding_share(rows, mine) <= 0.02
    assert sorted(place for batch in mine for place in batch.rows) == list(range(count))


@pytest.mark.parametrize("ranks", [2, 3, 8])
def test_ranks_have_equally_many_micro_batches_and_like_loads(ranks: int) -> None:
    rows = _rows(_skewed(400, seed=1))

    dealt = plan(rows, BatchingConfig(tokens=32_000), ranks=ranks, quadratic=2e-5)

    loads = [sum(batch.cost for batch in mine) for mine in dealt]
    assert len({len(mine) for mine in dealt}) == 1
    assert max(loads) <= 1.05 * sum(loads) / ranks
    assert sorted(p for mine in dealt for batch in mine if not batch.dummy for p in batch.rows) == list(range(400))
    assert all(a.cost >= b.cost for mine in dealt for a, b in pairwise(mine))


def test_a_rank_without_rows_computes_dummies() -> None:
    dealt = plan(_rows([40]), BatchingConfig(tokens=64), ranks=3)

    assert [[batch.dummy for batch in mine] for mine in dealt] == [[False], [True], [True]]
    assert padding_share(_rows([40]), [batch for mine in dealt for batch in mine]) == 0


def test_attention_makes_long_rows_weigh_more_than_their_tokens() -> None:
    rows = _rows([1_000, 500, 500])

    plain = plan(rows, BatchingConfig(tokens=1_000), ranks=2)
    squared = plan(rows, BatchingConfig(tokens=1_000), ranks=2, quadratic=1e-3)

    assert plain[0][0].cost == 1_000 + LAUNCH_TOKENS
    assert squared[0][0].cost == 1_000 + 1_000 + LAUNCH_TOKENS
    assert squared[1][0].cost == 2 * (500 + 250) + LAUNCH_TOKENS


def test_rows_of_one_sequence_stay_together_where_the_objective_needs_all_of_it() -> None:
    rows = [_row(90, sequence=0), _row(50, sequence=1), _row(40, sequence=0), _row(49, sequence=1)]

    apart, together = plan(rows, BatchingConfig(tokens=100)), plan(rows, BatchingConfig(tokens=100), together=True)

    assert sorted(batch.rows for batch in apart[0]) == [(0,), (1, 3), (2,)]
    assert sorted(batch.rows for batch in together[0]) == [(0, 2), (1, 3)]


def test_rows_without_a_trained_token_are_not_computed() -> None:
    context = TrainRow((1, 2, 3), (False,) * 3, (0.0,) * 3, 0.0, 1.0, Role.LEAD, 0)

    assert plan([context], BatchingConfig(), ranks=2) == [[], []]
    assert [batch.rows for batch in plan([context, _row(4)], BatchingConfig())[0]] == [(1,)]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (_row(20), r"row 0 has 20 tokens, batching\.max_row_tokens is 16"),
        (TrainRow((1, 2), (True, True), (0.0, 0.0), 1.0, 1.0, Role.LEAD, 0), "its first token"),
        (TrainRow((1, 2), (False, True), (0.0,), 1.0, 1.0, Role.LEAD, 0), "2 tokens, 2 marks and 1 log-prob"),
    ],
)
def test_a_row_that_cannot_be_trained_on_is_refused(row: TrainRow, complaint: str) -> None:
    with pytest.raises(ContractViolation, match=complaint):
        plan([row], BatchingConfig(max_row_tokens=16))


def test_a_shared_prefix_of_forks_is_unique_once() -> None:
    forks = [
        _row(5, sequence=0, tokens=(1, 2, 3, 4, 5)),
        _row(4, sequence=0, tokens=(1, 2, 9, 9)),
        _row(5, sequence=1, tokens=(1, 2, 3, 4, 5)),
    ]

    assert unique_tokens(forks) == 5 + 2 + 5


def test_best_fit_takes_the_fullest_bin_with_room() -> None:
    assert best_fit([60, 50, 39, 45, 7], 100) == [[0, 2], [1, 3], [4]]
    assert best_fit([60, 50, 35, 45, 5], 100) == [[0, 2, 4], [1, 3]]
    assert best_fit([250, 10], 100) == [[0], [1]]
    assert best_fit([], 100) == []


def test_positions_of_a_packed_row_start_anew() -> None:
    assert positions([3, 1, 2]) == [0, 1, 2, 0, 0, 1]
