"""The expert on real tasks, through the HTTP API and real search."""

import json
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import Cluster
from tests.scoring import item_f1
from wideseek.tables import Table

Task = Mapping[str, Any]


def tasks_of(shared_data: Path, difficulty: str) -> list[Task]:
    lines = (shared_data / "factbook" / "tasks_dev.jsonl").read_text("utf-8").splitlines()
    return [task for task in map(json.loads, lines) if task["difficulty"] == difficulty]


def answered(cluster: Cluster, task: Task) -> float:
    """Item F1 of one task, asked over HTTP."""
    run = cluster.finished(cluster.post({"query": task["query"]})["id"], seconds=240)
    assert run["status"] in {"completed", "incomplete"}, run["error"]
    return item_f1(Table.model_validate(run["table"]) if run["table"] else None, task)


def mean_f1(cluster: Cluster, tasks: Sequence[Task]) -> float:
    with ThreadPoolExecutor(3) as pool:
        scores = list(pool.map(lambda task: answered(cluster, task), tasks))
    print({task["instance_id"]: round(score, 3) for task, score in zip(tasks, scores, strict=True)})  # noqa: T201
    return statistics.fmean(scores)


@pytest.mark.shared_data
@pytest.mark.parametrize(("difficulty", "at_least"), [("named", 0.95), ("neighbours", 0.95), ("filter", 0.6)])
def test_the_expert_answers_development_tasks(
    whole: Cluster, shared_data: Path, difficulty: str, at_least: float
) -> None:
    assert mean_f1(whole, tasks_of(shared_data, difficulty)) >= at_least
