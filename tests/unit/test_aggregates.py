"""Means over tasks and trials, and their intervals."""

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wideseek.aggregates import Aggregate, aggregate, paired_difference, pass_at_k
from wideseek.errors import InvalidRequest

FEW = 200
"""Resamples where the numbers do not matter."""

scores = st.floats(0, 1)
tables = st.integers(1, 4).flatmap(
    lambda size: st.dictionaries(
        st.text(min_size=1, max_size=3), st.lists(scores, min_size=size, max_size=size), min_size=1, max_size=12
    )
)


def test_hand_computed_means() -> None:
    trials = {"b": [0.0, 1.0], "a": [0.5, 0.7], "c": [0.2, 0.2]}

    found = aggregate(trials)

    assert found.avg == pytest.approx((0.5 + 0.6 + 0.2) / 3)
    assert found.max == pytest.approx((1.0 + 0.7 + 0.2) / 3)
    assert found.min == pytest.approx((0.0 + 0.5 + 0.2) / 3)


def test_the_maximum_of_success_is_pass_at_n() -> None:
    success = {"a": [0.0, 1.0, 0.0], "b": [0.0, 0.0, 0.0]}

    found = aggregate(success, resamples=FEW)

    assert found.max == sum(pass_at_k(3, int(sum(trials)), 3) for trials in success.values()) / 2 == 0.5


def test_a_hand_computed_interval() -> None:
    # Two tasks, resampled: both 0 in a quarter, both 1 in a quarter, else one half.
    assert aggregate({"a": [0.0], "b": [1.0]}).ci95 == (0, 1)


def test_the_interval_is_as_wide_as_theory_says() -> None:
    # 100 tasks, half of them right: the mean's standard error is sqrt(0.25 / 100) = 0.05.
    low, high = aggregate({f"{number:03}": [float(number % 2)] for number in range(100)}).ci95

    assert low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.011)
    assert high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.011)


def test_one_task_says_nothing_of_others() -> None:
    assert aggregate({"a": [0.2, 0.4]}).ci95 == pytest.approx((0.3, 0.3))


@settings(max_examples=50)
@given(tables)
def test_what_holds_for_any_scores(trials: dict[str, list[float]]) -> None:
    found = aggregate(trials, resamples=FEW)

    assert found.min <= found.avg + 1e-12
    assert found.avg <= found.max + 1e-12
    low, high = found.ci95
    assert 0 <= low <= found.avg <= high <= 1 + 1e-12


@settings(max_examples=50)
@given(tables)
def test_the_order_of_tasks_and_trials_changes_nothing(trials: dict[str, list[float]]) -> None:
    backwards = {name: trials[name][::-1] for name in reversed(list(trials))}

    assert aggregate(backwards, resamples=FEW) == aggregate(trials, resamples=FEW)


def test_the_seed_decides_the_interval_and_nothing_else() -> None:
    trials = {f"{number:02}": [math.sin(number) ** 2] for number in range(30)}

    first, again, other = aggregate(trials, seed=1), aggregate(trials, seed=1), aggregate(trials, seed=2)

    assert first == again
    assert first.ci95 != other.ci95
    assert first.model_copy(update={"ci95": other.ci95}) == other


def test_two_hundred_tasks_take_less_than_a_second() -> None:
    trials = {f"{number:03}": [math.sin(number) ** 2] * 4 for number in range(200)}
    started = time.process_time()

    aggregate(trials)

    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("trials", "words"),
    [
        ({}, "no task"),
        ({"a": []}, "task a: has no trial"),
        ({"a": [1.0], "b": []}, "task b: has no trial"),
        ({"a": [1.0, 1.0], "b": [1.0]}, "task b: has 1 trials where task a has 2"),
        ({"a": [1.0], "b": [math.nan]}, "task b: a trial's number is not finite"),
    ],
)
def test_a_partial_summary_is_refused_by_task(trials: dict[str, list[float]], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        aggregate(trials)


def test_a_paired_difference_by_hand() -> None:
    ours = {"a": [0.5, 0.7], "b": [1.0, 1.0], "c": [0.1, 0.3]}
    theirs = {"c": [0.0], "b": [0.8], "a": [0.4]}

    found = paired_difference(ours, theirs)

    # 0.6 - 0.4, 1.0 - 0.8 and 0.2 - 0.0
    assert found.mean == pytest.approx(0.2)
    assert found.ci95 == pytest.approx((0.2, 0.2))


def test_pairs_tell_settings_apart_that_separate_intervals_cannot() -> None:
    theirs = {f"{number:02}": [number / 40] for number in range(40)}
    ours = {name: [trials[0] + 0.01 + 0.001 * (int(name) % 3)] for name, trials in theirs.items()}

    apart = aggregate(ours).ci95[0] > aggregate(theirs).ci95[1]
    low, _ = paired_difference(ours, theirs).ci95

    assert not apart
    assert low > 0


def test_a_difference_turns_round_with_its_sides() -> None:
    ours, theirs = {"a": [0.9], "b": [0.2]}, {"a": [0.1], "b": [0.3]}

    forth, back = paired_difference(ours, theirs), paired_difference(theirs, ours)

    assert back.mean == -forth.mean
    assert back.ci95 == pytest.approx((-forth.ci95[1], -forth.ci95[0]))


def test_settings_with_different_tasks_are_not_compared() -> None:
    with pytest.raises(InvalidRequest, match="task b: answered in one"):
        paired_difference({"a": [1.0], "b": [1.0]}, {"a": [1.0]})


@pytest.mark.parametrize(
    ("n", "c", "k", "chance"),
    [
        (1, 1, 1, 1),
        (4, 0, 4, 0),
        (4, 1, 1, 1 / 4),
        # 1 - C(3, 2) / C(5, 2) = 1 - 3 / 10
        (5, 2, 2, 7 / 10),
        (5, 4, 2, 1),
        (10_000, 1, 5_000, 1 / 2),
    ],
)
def test_pass_at_k_by_hand(n: int, c: int, k: int, chance: float) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(chance)


@given(st.integers(1, 12), st.data())
def test_more_successes_and_more_tries_never_lower_the_chance(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n - 1)), data.draw(st.integers(1, n))

    assert 0 <= pass_at_k(n, c, k) <= pass_at_k(n, c + 1, k) <= 1
    assert pass_at_k(n, c, 1) == pytest.approx(c / n)


@pytest.mark.parametrize(("n", "c", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 0), (3, 1, 4), (0, 0, 1)])
def test_impossible_counts_are_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(InvalidRequest):
        pass_at_k(n, c, k)


def test_an_aggregate_is_a_value() -> None:
    assert Aggregate.model_validate_json(aggregate({"a": [0.5]}).model_dump_json()) == aggregate({"a": [0.5]})
