"""Numbers of the policy report, by hand: means over tasks and seeds, shares of calls, paired differences."""

import pytest

from services.evaluation.policy.columns import accuracy, accuracy_of, columns_of, kind
from services.evaluation.policy.compare import Paired, paired
from services.evaluation.policy.measures import Estimate, costs, estimated, measured, valid_calls
from services.evaluation.results import AnswerScores, Cost
from tests.policy_report_parts import TRAINED, arm_of, trials_of


def mean(found: Estimate | None) -> float:
    assert found is not None
    return found.mean


def test_tasks_weigh_the_same_and_seeds_are_averaged_first() -> None:
    arm = arm_of({"named-1": [1.0, 0.5, 0.0], "named-2": [1.0, 1.0, 1.0], "filter-1": [0.0, 0.0, 0.3]})

    found, named = measured(arm, "item_f1"), measured(arm, "item_f1", "named")

    assert found is not None
    assert named is not None
    assert found.mean == pytest.approx((0.5 + 1.0 + 0.1) / 3)
    assert found.seeds == pytest.approx((2 / 3, 0.5, 1.3 / 3))
    assert (found.tasks, named.tasks) == (3, 2)
    assert named.mean == pytest.approx(0.75)
    assert found.low < found.mean < found.high
    assert measured(arm, "item_f1", "neighbours") is None
    assert measured(arm, "em") is None


def test_rows_and_success_are_read_from_the_robust_scorer() -> None:
    arm = arm_of({"named-1": [1.0], "named-2": [0.5]})

    rows, success = measured(arm, "row_f1"), measured(arm, "success")

    assert rows is not None
    assert success is not None
    assert (rows.mean, success.mean) == (0.375, 0.5)


def test_answers_to_questions_have_metrics_of_their_own() -> None:
    arm = arm_of({"bridge-1": [0.0]}, scores={}, columns={}, answer=AnswerScores(em=1, f1=0.8))

    assert measured(arm, "item_f1") is None
    assert mean(measured(arm, "em")) == 1
    assert mean(measured(arm, "f1")) == 0.8


def test_the_interval_of_equal_tasks_is_a_point_and_of_two_extremes_all_there_is() -> None:
    equal = estimated({"a": [0.5, 0.5], "b": [0.5, 0.5]})
    extreme = estimated({"a": [0.0], "b": [1.0]})

    assert equal is not None
    assert extreme is not None
    assert (equal.low, equal.high) == (0.5, 0.5)
    # A quarter of all resamples are (0, 0) and a quarter (1, 1), so both ends lie beyond 2.5 %.
    assert (extreme.low, extreme.high) == (0.0, 1.0)


def test_valid_calls_are_a_share_of_all_calls_not_of_tasks() -> None:
    many = trials_of({"named-1": [1.0, 1.0]}, cost=Cost(tool_calls=45), format_failures=0)
    few = trials_of({"named-2": [1.0]}, cost=Cost(tool_calls=10), format_failures=5)

    found = valid_calls([*many, *few])

    assert found is not None
    assert found.mean == pytest.approx(95 / 100)
    # Resamples are (1, 1), (1, 2) and (2, 2): 1, 0.95 and 0.5.
    assert (found.low, found.high) == (0.5, 1.0)


def test_who_calls_nothing_has_no_share_of_valid_calls() -> None:
    assert valid_calls(trials_of({"named-1": [0.0]}, cost=Cost(tool_calls=0))) is None
    assert measured(arm_of({}), "valid_calls") is None


def test_a_paired_difference_is_that_of_each_task_s_means() -> None:
    first = arm_of({"named-1": [1.0, 0.8], "named-2": [0.6, 0.6], "filter-1": [0.5, 0.1], "filter-9": [1.0, 1.0]})
    second = arm_of({"named-1": [0.5], "named-2": [0.3], "filter-1": [0.1]})

    found, by_filter = paired(first, second, "item_f1"), paired(first, second, "item_f1", "filter")

    assert found is not None
    assert by_filter is not None
    # 0.9 - 0.5 = 0.4, 0.6 - 0.3 = 0.3, 0.3 - 0.1 = 0.2; filter-9 was asked of the first alone.
    assert found.mean == pytest.approx(0.3)
    assert found.tasks == 3
    assert found.low == pytest.approx(0.2)
    assert found.high == pytest.approx(0.4)
    assert found.verdict == "above 0"
    assert by_filter.mean == pytest.approx(0.2)
    assert by_filter.tasks == 1


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.01, 0.2, "above 0"), (-0.2, -0.01, "below 0"), (-0.1, 0.1, "0 lies inside")]
)
def test_the_verdict_is_what_the_interval_says(low: float, high: float, verdict: str) -> None:
    assert Paired(mean=0, low=low, high=high, tasks=9).verdict == verdict


def test_arms_without_a_task_in_common_are_not_compared() -> None:
    assert paired(arm_of({"named-1": [1.0]}), arm_of({"named-2": [1.0]}), "item_f1") is None


def test_columns_are_apart_by_what_training_asks_for() -> None:
    arm = arm_of({"named-1": [1.0, 0.5], "named-2": [0.2, 0.2]})

    inside, outside = (accuracy_of(arm, TRAINED, in_training=flag) for flag in (True, False))

    assert columns_of([arm]) == ["capital", "country", "gdp2023"]
    assert mean(accuracy(arm, "capital")) == pytest.approx((0.75 + 0.2) / 2)
    assert accuracy(arm, "peak") is None
    # A task's columns of training: country 1 and capital 0.75 or 0.2; held out: half of the capital's.
    assert mean(inside) == pytest.approx((0.875 + 0.6) / 2)
    assert mean(outside) == pytest.approx((0.375 + 0.1) / 2)
    assert [kind(name, TRAINED) for name in ("capital", "gdp2023", "peak")] == ["in training", "held out", "unknown"]


def test_costs_are_means_over_all_runs() -> None:
    arm = arm_of({"named-1": [1.0, 1.0]})

    found = costs(arm)

    assert (found["tokens"], found["seconds"], found["tool_calls"], found["critical_path_calls"]) == (1_000, 2.5, 4, 3)
    assert costs(arm_of({})) == {}
