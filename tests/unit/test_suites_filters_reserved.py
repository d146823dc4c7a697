"""What a split may not use is rejected, wherever an instance states it, and in the published data nothing is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from services.suites.filters_read import read_instances
from services.suites.filters_reserved import ReservedFilter, is_factbook, places
from services.suites.splits import is_kept_back
from tests.suite_parts import EXACT, NEAR, markdown, question, wide_task
from wideseek.instances import Question, WideTask

FREE = ("ag", "ao", "bc", "bn")
MEDIAN_AGE = "People and Society > Median age > total"


def _task(codes: Sequence[str] = FREE, region: str = "africa", **changes: Any) -> WideTask:
    """A task of the training split over these profiles, asking for the median age."""
    names = [f"Land {code}" for code in codes]
    evaluation = {
        "required": ["country", "medianage"],
        "unique_columns": ["country"],
        "eval_pipeline": {"country": EXACT, "medianage": NEAR},
    }
    fields: dict[str, Any] = {
        "evaluation": evaluation,
        "answer": markdown(["Country", "Median age"], [(name, "20") for name in names]),
        "gold_docs": {name: f"factbook:{region}/{code}" for name, code in zip(names, codes, strict=True)},
        "gold_fields": {"medianage": MEDIAN_AGE},
        "suite": "factbook-wide",
        "meta": {"families": ["demo", "geo"], "regions": [region], "answer_codes": list(codes)},
    }
    return wide_task(**{**fields, **changes})


def _question(**changes: Any) -> Question:
    fields: dict[str, Any] = {
        "question": "What is the median age of Chad in years?",
        "gold_docs": ["factbook:africa/cd"],
        "suite": "factbook-qa",
        "meta": {"fields": [MEDIAN_AGE], "chain": [f"Chad > {MEDIAN_AGE} = 16"]},
    }
    return question(**{**fields, **changes})


def _with_column(heading: str, field: str | None) -> WideTask:
    task = _task()
    column = heading.replace(" ", "").lower()
    evaluation = {
        "required": [*task.evaluation.required, column],
        "unique_columns": ["country"],
        "eval_pipeline": {"country": EXACT, "medianage": NEAR, column: EXACT},
    }
    stated = {column: field} if field else {}
    return _task(evaluation=evaluation, gold_fields={"medianage": MEDIAN_AGE, **stated})


def _code(instance: WideTask | Question, split: str | None = None) -> str | None:
    reason = ReservedFilter(split).check(instance)
    return reason.code if reason else None


def _kept_back_set() -> list[str]:
    return next(codes for letter in "abcdefghijklmnop" if is_kept_back(codes := [*FREE, f"x{letter}"]))


def test_a_task_within_its_split_passes() -> None:
    assert not is_kept_back(FREE)
    assert _code(_task()) is None
    assert _code(_task(), "train") is None


def test_an_instance_without_a_split_is_held_to_the_rules_of_training() -> None:
    assert _code(_task(split="")) is None
    assert _code(_task(split="", region="central-asia")) == "reserved_region"


def test_another_split_is_rejected_when_one_is_asked_for() -> None:
    assert _code(_task(), "dev") == "other_split"
    assert _code(wide_task(), "dev") == "other_split"


def test_a_split_for_tests_is_reserved() -> None:
    assert _code(_task(split="test")) == "reserved_split"


def test_other_suites_are_none_of_its_business() -> None:
    task = wide_task(split="test", query="Which airports are there?")

    assert not is_factbook(task)
    assert _code(task) is None


def test_a_task_over_profiles_is_held_to_the_rules_whatever_its_suite_is_called() -> None:
    assert _code(_task(suite="renamed", region="middle-east")) == "reserved_region"


@pytest.mark.parametrize("region", ["central-asia", "middle-east", "australia-oceania"])
def test_regions_of_other_splits_are_reserved(region: str) -> None:
    assert _code(_task(region=region)) == "reserved_region"


def test_one_row_from_another_region_is_enough() -> None:
    task = _task()
    strayed = {**task.gold_docs, "Land ag": "factbook:south-asia/in"}

    assert _code(_task(gold_docs=strayed)) == "reserved_region"


def test_a_region_that_only_meta_names_is_reserved_too() -> None:
    assert _code(_task(meta={"regions": ["south-asia"]})) == "reserved_region"


@pytest.mark.parametrize("family", ["econ", "economy", "polity", "culture", "g"])
def test_families_of_other_splits_are_reserved(family: str) -> None:
    assert _code(_task(meta={"families": [family]})) == "reserved_family"


@pytest.mark.parametrize("family", ["geo", "geography", "demo", "demography", "base"])
def test_families_of_training_are_allowed_long_or_short(family: str) -> None:
    assert _code(_task(meta={"families": [family]})) is None


@pytest.mark.parametrize(
    ("heading", "field"),
    [
        ("Airports", "Transportation > Airports"),
        ("Airports", MEDIAN_AGE),
        ("Airports", None),
        ("GDP 2023", "Economy > Real GDP (purchasing power parity) > Real GDP (purchasing power parity) 2023"),
        ("National anthem", "Government > National anthem(s) > title"),
        ("Motto", None),
    ],
)
def test_columns_that_are_reserved_or_unknown_are_rejected(heading: str, field: str | None) -> None:
    assert _code(_with_column(heading, field)) == "reserved_column"


def test_the_length_of_a_shared_border_is_asked_for_in_development_only() -> None:
    asked = _with_column("Border length", "Geography > Land boundaries > border countries")

    assert _code(asked) == "reserved_column"
    assert _code(asked.model_copy(update={"split": "dev"}), "dev") != "reserved_column"


@pytest.mark.parametrize(
    "query",
    ["Countries with more than 20 airports?", "Who uses the internet most?", "Bicameral states?", "Their anthems?"],
)
def test_training_may_not_even_speak_of_what_is_reserved(query: str) -> None:
    assert _code(_task(query=query)) == "reserved_column"


def test_a_set_of_countries_kept_for_tests_is_rejected() -> None:
    assert _code(_task(codes=_kept_back_set())) == "reserved_set"


def test_development_keeps_no_sets_back() -> None:
    assert _code(_task(codes=_kept_back_set(), region="central-asia", split="dev")) is None


def test_a_set_that_only_meta_states_counts() -> None:
    assert _code(_question(meta={"codes": _kept_back_set()})) == "reserved_set"


def test_questions_are_held_to_fields_chains_and_documents() -> None:
    airports = "Transportation > Airports"

    assert _code(_question()) is None
    assert _code(_question(gold_docs=["factbook:south-asia/in"])) == "reserved_region"
    assert _code(_question(meta={"fields": [airports]})) == "reserved_column"
    assert _code(_question(meta={"chain": [f"Chad > {airports} = 44"]})) == "reserved_column"
    assert _code(_question(question="Whose internet country code is .td?")) == "reserved_column"


def test_meta_of_another_shape_states_nothing() -> None:
    assert _code(_task(meta={"families": "econ", "regions": 3, "answer_codes": {"ag": 1}})) is None


def test_addresses_of_twins_name_region_and_code_too() -> None:
    assert places(_question(gold_docs=["factbook-twin-7:africa/cd", "https://example.org/cd"])) == (("africa", "cd"),)


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["factbook/tasks_dev", "factbook/qa_dev", "wiki/tasks_dev", "wiki/qa_dev"])
def test_the_published_sets_keep_to_their_split_and_are_nothing_for_training(shared_data: Path, name: str) -> None:
    instances = read_instances(shared_data / f"{name}.jsonl")

    assert [_code(instance) for instance in instances] == [None] * len(instances)
    as_training = [instance.model_copy(update={"split": "train"}) for instance in instances]
    rejected = [_code(instance) for instance in as_training if is_factbook(instance)]
    assert all(rejected)
