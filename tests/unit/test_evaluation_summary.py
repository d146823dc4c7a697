"""A summary's numbers, checked by hand: what is in a mean, what is not, and what stands beside it."""

from pathlib import Path
from typing import Any

import pytest

from services.evaluation.results import AnswerScores, Cost, Trial
from services.evaluation.summary import headline, summarise
from tests.evaluation_parts import plan_of, question, trial_of, wide
from wideseek.instances import Scores
from wideseek.trajectory import Usage


def two_modes(robust: float, official: float) -> dict[str, Any]:
    return {
        "scores": {
            "robust": Scores(score=robust, f1_by_item=robust, f1_by_row=robust),
            "official": Scores(score=official, f1_by_item=official, f1_by_row=official),
        }
    }


def test_a_metric_is_the_mean_over_tasks_of_the_mean_and_of_the_best_over_trials(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"), wide("b"), trials=2)
    trials = [trial_of("a", 0, 1.0), trial_of("a", 1, 0.5), trial_of("b", 0, 0.2), trial_of("b", 1, 0.4)]

    found = summarise(plan, trials, {}, {})

    assert found.item_f1 is not None
    assert found.item_f1.avg == pytest.approx((0.75 + 0.3) / 2)
    assert found.item_f1.max == pytest.approx((1.0 + 0.4) / 2)
    assert found.item_f1.ci95 == pytest.approx((0.3, 0.75))
    assert found.success is not None
    assert (found.success.avg, found.success.max) == pytest.approx((0.25, 0.5))
    assert (found.tasks, found.trials) == (2, 2)


def test_the_official_numbers_stand_beside_the_robust_ones(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"))

    found = summarise(plan, [trial_of("a", **two_modes(0.8, 0.0))], {}, {})

    assert found.item_f1 is not None
    assert found.official is not None
    assert found.official.item_f1 is not None
    assert (found.item_f1.avg, found.official.item_f1.avg) == (0.8, 0.0)


def test_a_task_that_lacks_a_trial_is_in_no_mean_and_is_named(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"), wide("b"), trials=2)
    trials = [trial_of("a", 0, 1.0), trial_of("a", 1, 1.0), trial_of("b", 0, 0.0)]

    found = summarise(plan, trials, {"b#1": "model: does not answer"}, {})

    assert found.item_f1 is not None
    assert found.item_f1.avg == 1.0
    assert found.tasks == 1
    assert found.unfinished == {"b#1": "model: does not answer"}


def test_a_summary_of_nothing_has_no_metrics(tmp_path: Path) -> None:
    found = summarise(plan_of(tmp_path, wide("a")), [], {"a#0": "interrupted"}, {})

    assert (found.tasks, found.item_f1, found.official, found.cost, found.by) == (0, None, None, {}, {})


def test_groups_are_difficulties_and_kinds_of_questions(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"), wide("b"), wide("c"))
    trials = [trial_of("a"), trial_of("b", group="filter", item_f1=0.5), trial_of("c", group="filter", item_f1=0.7)]

    found = summarise(plan, trials, {}, {})

    assert list(found.by) == ["filter", "named"]
    assert found.by["filter"].item_f1 is not None
    assert found.by["filter"].item_f1.avg == pytest.approx(0.6)
    assert found.by["filter"].tasks == 2


def test_several_suites_are_told_apart(tmp_path: Path) -> None:
    answer: dict[str, Any] = {"scores": {}, "answer": AnswerScores(em=0, f1=0.5), "rows_accepted": None}
    trials = [
        trial_of("a"),
        trial_of("q", suite="tiny-qa", group="single_hop", **answer),
        trial_of("r", suite="other", group="other"),
    ]
    plan = plan_of(tmp_path, wide("a"), question("q"), wide("r"))

    found = summarise(plan, trials, {}, {})

    assert list(found.by) == ["other", "tiny-qa", "tiny-qa: single_hop", "tiny-wide", "tiny-wide: named"]
    assert found.f1 is not None
    assert found.f1.avg == 0.5
    assert found.item_f1 is not None
    assert found.item_f1.avg == 1.0
    assert found.by["tiny-qa"].item_f1 is None
    assert found.judged is None


def test_tasks_are_in_the_group_of_every_family_they_name(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a", meta={"families": ["geo", "econ"]}), wide("b", meta={"families": ["geo"]}))

    found = summarise(plan, [trial_of("a", item_f1=0.5), trial_of("b")], {}, {})

    assert list(found.by) == ["family econ", "family geo", "named"]
    assert (found.by["family econ"].tasks, found.by["family geo"].tasks) == (1, 2)


def test_languages_are_told_apart_where_there_are_several(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"), wide("b", language="zh"))

    found = summarise(plan, [trial_of("a"), trial_of("b")], {}, {})

    assert list(found.by) == ["language en", "language zh", "named"]


def test_costs_are_means_a_trial_and_a_row_costs_all_that_was_spent(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"), wide("b"))
    trials = [
        trial_of("a", rows_accepted=4, cost=Cost(tokens=1_000, subagents=3, usd=0.3), seconds=1.0),
        trial_of("b", rows_accepted=0, cost=Cost(tokens=3_000, subagents=1, usd=0.5), seconds=2.0),
    ]

    cost = summarise(plan, trials, {}, {}).cost

    assert (cost["tokens"], cost["subagents"], cost["seconds"]) == (2_000, 2, 1.5)
    assert cost["tokens_per_row"] == 1_000
    assert cost["usd_per_row"] == pytest.approx(0.2)


def test_tokens_are_told_by_role_over_all_trials(tmp_path: Path) -> None:
    spent = {"lead": Usage(prompt_tokens=90, completion_tokens=10), "total": Usage(prompt_tokens=400)}
    helped = {**spent, "subagent": Usage(prompt_tokens=300)}

    plan, trials = plan_of(tmp_path, wide("a"), wide("b")), [trial_of("a", usage=spent), trial_of("b", usage=helped)]

    cost = summarise(plan, trials, {}, {}).cost

    assert (cost["tokens_lead"], cost["tokens_subagent"]) == (100, 150)
    assert "tokens_total" not in cost
    assert "waves" not in cost


def test_without_an_accepted_row_there_is_no_cost_of_one(tmp_path: Path) -> None:
    cost = summarise(plan_of(tmp_path, wide("a")), [trial_of("a", rows_accepted=0)], {}, {}).cost

    assert "tokens_per_row" not in cost


def test_evidence_recall_is_the_mean_where_it_is_known(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"), wide("b"), wide("c"))
    trials = [trial_of("a", evidence_recall=1.0), trial_of("b", evidence_recall=0.5), trial_of("c", format_failures=3)]

    found = summarise(plan, trials, {}, {})

    assert found.evidence_recall == 0.75
    assert found.format_failures == 1.0


def test_a_summary_says_what_its_numbers_depend_on(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"), width=5, mode="sequential")

    found = summarise(plan, [trial_of("a", model="policy@v3")], {}, {"usd_per_mtok_prompt": 0.1})

    assert found.setting["width"] == 5
    assert found.setting["mode"] == "sequential"
    assert found.setting["trials"] == 1
    assert found.setting["served"] == "policy@v3"
    assert found.tasks_sha256 == "ab" * 32
    assert found.assumptions == {"usd_per_mtok_prompt": 0.1}


@pytest.mark.parametrize(
    ("trial", "value"),
    [
        (trial_of("a", item_f1=0.5), 0.5),
        (trial_of("q", scores={}, answer=AnswerScores(em=0, f1=0.25)), 0.25),
        (trial_of("a", scores={}), 0.0),
    ],
)
def test_a_trial_is_judged_by_item_f1_or_the_f1_of_its_answer(trial: Trial, value: float) -> None:
    assert headline(trial) == value
