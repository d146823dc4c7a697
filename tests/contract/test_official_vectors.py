"""The official scorer's own numbers, for 308 tables, its faults included."""

import json
from pathlib import Path

import pytest

from wideseek.instances import Scores, WideTask
from wideseek.judging import NoJudge
from wideseek.official import score_official


@pytest.mark.shared_data
async def test_the_official_scorers_numbers_are_reproduced(shared_data: Path) -> None:
    lines = (shared_data / "scorer" / "official_vectors.jsonl").read_text("utf-8").splitlines()
    vectors = [json.loads(line) for line in lines]

    scores = {
        vector["id"]: await score_official(vector["response_text"], _task(vector), NoJudge()) for vector in vectors
    }

    differing = {
        vector["id"]: (scores[vector["id"]], vector["expected"])
        for vector in vectors
        if scores[vector["id"]].model_dump() != pytest.approx(vector["expected"], abs=1e-9, rel=0)
    }
    assert len(vectors) == 308
    assert not differing


@pytest.mark.shared_data
@pytest.mark.parametrize("suite", ["factbook", "wiki"])
async def test_every_gold_table_is_a_success_against_itself(shared_data: Path, suite: str) -> None:
    lines = (shared_data / suite / "tasks_dev.jsonl").read_text("utf-8").splitlines()
    tasks = [WideTask.model_validate_json(line) for line in lines]

    scores = [await score_official(f"```markdown\n{task.answer}\n```", task, NoJudge()) for task in tasks]

    assert {score.f1_by_item for score in scores} == {1.0}
    assert {score.score for score in scores} == {1.0}


def test_a_vector_names_all_seven_numbers() -> None:
    assert list(Scores().model_dump()) == [
        "score",
        "precision_by_row",
        "recall_by_row",
        "f1_by_row",
        "precision_by_item",
        "recall_by_item",
        "f1_by_item",
    ]


def _task(vector: dict[str, object]) -> WideTask:
    record = {"instance_id": vector["id"], "evaluation": vector["evaluation"], "answer": vector["gold_markdown"]}
    return WideTask.model_validate(record)
