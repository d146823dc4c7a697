"""Evaluations on disk, as `wideseek eval` leaves them, and the report that is made of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.evaluation.policy.arms import Arm, ArmSpec, read_arms
from services.evaluation.results import Cost, Trial
from services.evaluation.summary import summarise
from tests.evaluation_parts import plan_of, trial_of, wide
from wideseek.instances import Scores

TRAINED = {"country": True, "capital": True, "gdp2023": False}
"""Which columns training asks for."""


def scored(item_f1: float, row_f1: float = 0.0, success: float = 0.0) -> dict[str, Scores]:
    return {"robust": Scores(score=success, f1_by_item=item_f1, f1_by_row=row_f1)}


def trials_of(values: Mapping[str, Sequence[float]], **more: Any) -> list[Trial]:
    """Task -> item F1 of each of its trials; a task is called `<difficulty>-<number>`."""
    return [
        trial_of(
            task,
            number,
            **{
                "scores": scored(value, value / 2, float(value == 1)),
                "group": task.partition("-")[0],
                "columns": {"country": 1.0, "capital": value, "gdp2023": value / 2},
                "cost": Cost(tokens=1_000, tool_calls=4, model_calls=6, subagents=2, critical_path_calls=3),
                "seconds": 2.5,
                **more,
            },
        )
        for task, each in values.items()
        for number, value in enumerate(each)
    ]


def write_arm(
    results: Path, name: str, values: Mapping[str, Sequence[float]], *, trials: int | None = None, **more: Any
) -> list[Trial]:
    """An evaluation of these tasks in its folder; `setting` among `more` is what it was made with."""
    setting = more.pop("setting", {})
    made, folder = trials_of(values, **more), results / name
    tasks = [wide(task, difficulty=task.partition("-")[0]) for task in values]
    plan = plan_of(folder, *tasks, trials=trials or max(map(len, values.values())), **setting)
    folder.mkdir(parents=True, exist_ok=True)
    summary = summarise(plan, made, {}, {})
    (folder / "summary.json").write_text(summary.model_dump_json(indent=2) + "\n", "utf-8")
    lines = [json.dumps(trial.model_dump(mode="json")) + "\n" for trial in made]
    (folder / "results.jsonl").write_text("".join(lines), "utf-8")
    return made


def arm_of(values: Mapping[str, Sequence[float]], **more: Any) -> Arm:
    """An arm in memory."""
    return Arm("arm", ArmSpec(title="Arm", group="headline"), trials=trials_of(values, **more))


def write_arms(results: Path, text: str) -> Path:
    results.mkdir(parents=True, exist_ok=True)
    (results / "arms.toml").write_text(text, "utf-8")
    return results


def only_arm(results: Path) -> Arm:
    return read_arms(results)[1][0]


def write_metrics(folder: Path, stage: str, lines: Sequence[Mapping[str, Any]]) -> Path:
    """Metrics of a stage, as a training job writes them."""
    path = folder / stage / "metrics.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rest = {"at": 0.0, "policy_version": 1, "histograms": {}, "drops": {}}
    path.write_text("".join(json.dumps({**rest, **line}) + "\n" for line in lines), "utf-8")
    return path
