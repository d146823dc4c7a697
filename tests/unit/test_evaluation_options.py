"""What an evaluation's options mean: the requests, the settings, the variants of a sweep, the budgets."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.evaluation.budgets import budgets_from, budgets_name
from services.evaluation.journal import open_journal
from services.evaluation.options import Setting, Work, make_setting, make_sweep, request_of
from services.evaluation.results import Cost
from tests.evaluation_parts import plan_of, question, trial_of, wide
from wideseek.contracts import Limits, Mode, Output, PromptProfile
from wideseek.errors import InvalidRequest


def test_a_wide_task_is_asked_in_its_own_words_for_a_table(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"))

    request = request_of(plan.work[0], plan, "e1")

    assert request.query == "a: Country, Capital?"
    assert request.output is Output.TABLE
    assert request.mode is Mode.MULTI_AGENT
    assert request.metadata == {"instance_id": "a", "trial": "0", "evaluation": "e1"}
    assert request.model_fields_set == {"query", "output", "mode", "metadata"}


def test_a_question_is_asked_for_an_answer(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, question("q"))

    request = request_of(plan.work[0], plan, "e1")

    assert request.query == "q: capital of Peru?"
    assert request.output is Output.ANSWER


def test_every_option_reaches_the_request(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "mode": "sequential",
        "model": "policy@v3",
        "subagent_model": "base",
        "width": 5,
        "max_turns": 4,
        "max_tokens": 9_000,
        "max_seconds": 60,
        "temperature": 0.7,
        "top_p": 0.9,
        "seed": 10,
        "corpus": "wiki",
        "prompt_profile": "compact",
    }
    plan = plan_of(tmp_path, wide("a"), trials=3, **options)

    request = request_of(plan.work[2], plan, "e1")

    assert (request.mode, request.model, request.subagent_model) == (Mode.SEQUENTIAL, "policy@v3", "base")
    assert request.limits == Limits(max_width=5, max_turns=4, max_tokens=9_000, max_seconds=60)
    assert (request.sampling.temperature, request.sampling.top_p) == (0.7, 0.9)
    assert request.sampling.seed == 12
    assert request.sources.corpora == ("wiki",)
    assert request.prompt_profile is PromptProfile.COMPACT


def test_oracle_retrieval_is_given_the_gold_documents(tmp_path: Path) -> None:
    task = wide("a", gold_docs={"Peru": "factbook:south-america/pe"}, list_doc="factbook:south-america")
    plan = plan_of(tmp_path, task, mode="oracle_retrieval")

    request = request_of(plan.work[0], plan, "e1")

    assert request.sources.urls == ("factbook:south-america", "factbook:south-america/pe")


def test_oracle_retrieval_of_a_task_without_documents_is_refused(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"), mode="oracle_retrieval")

    with pytest.raises(InvalidRequest, match="task a: names no documents"):
        request_of(plan.work[0], plan, "e1")


def test_a_task_that_cannot_be_asked_is_named(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("long", query="x" * 16_001))

    with pytest.raises(InvalidRequest, match="task long: query: String should have at most 16000 characters"):
        request_of(plan.work[0], plan, "e1")


def test_work_is_every_task_and_trial_in_order(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, wide("a"), wide("b"), trials=2)

    assert [work.name for work in plan.work] == ["a#0", "a#1", "b#0", "b#1"]


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"^--max-turns 0: Input should be greater than or equal to 1"):
        make_setting({"max_turns": 0})


def test_a_sweep_has_a_setting_for_each_value() -> None:
    sweep = make_sweep("width=1,2, 5", Setting(max_turns=3))

    assert list(sweep.variants) == ["width=1", "width=2", "width=5"]
    assert [setting.width for setting in sweep.variants.values()] == [1, 2, 5]
    assert all(setting.max_turns == 3 for setting in sweep.variants.values())


def test_profiles_are_swept() -> None:
    sweep = make_sweep("prompt_profile=full,compact", Setting())

    assert [setting.prompt_profile for setting in sweep.variants.values()] == [*PromptProfile]


def test_a_swept_name_that_is_no_folder_is_escaped() -> None:
    sweep = make_sweep("model=policy@v3,org/base", Setting())

    assert list(sweep.variants) == ["model=policy@v3", "model=org%2Fbase"]
    assert sweep.variants["model=org%2Fbase"].model == "org/base"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("depth=1,2", "expected KEY=a,b,c with a key of width, max_turns"),
        ("width", "a value is empty"),
        ("width=1,,2", "a value is empty"),
        ("width=1,1", "1 stands there twice"),
        ("width=1,wide", "--width wide: "),
        ("mode=single_agent,solo", "--mode solo: "),
        ("prompt-profile=full,terse", "--prompt-profile terse: "),
    ],
)
def test_a_sweep_that_cannot_be_read_says_why(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        make_sweep(text, Setting())


def test_a_budget_is_the_mean_of_what_the_task_used(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        for number, tokens in enumerate((100, 201)):
            journal.append(trial_of("a", number, cost=Cost(tokens=tokens)))

    budgets = budgets_from(tmp_path, [wide("a")])

    assert budgets == {"a": 151}
    plan = replace(plan_of(tmp_path, wide("a"), max_tokens=9), budgets=budgets)
    assert request_of(Work(plan.tasks[0], 0), plan, "e1").limits.max_tokens == 151


def test_other_budgets_have_another_name(tmp_path: Path) -> None:
    assert budgets_name(tmp_path / "first", {"a": 1}) != budgets_name(tmp_path / "first", {"a": 2})


def test_a_task_without_a_budget_is_named(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.append(trial_of("a"))

    with pytest.raises(InvalidRequest, match="holds no trial of task b"):
        budgets_from(tmp_path, [wide("a"), wide("b")])
