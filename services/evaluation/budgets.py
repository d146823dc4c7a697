"""Equal-token comparison: each task may spend what an earlier evaluation spent on it."""

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.evaluation.journal import read_trials
from wideseek.errors import InvalidRequest
from wideseek.instances import Task


def budgets_from(directory: Path, tasks: Sequence[Task]) -> dict[str, int]:
    """Instance id -> tokens that the task used in the evaluation in `directory`, the mean over its trials.

    Raises `InvalidRequest` naming the task that has no trial there.
    """
    spent: dict[str, list[int]] = defaultdict(list)
    for trial in read_trials(directory):
        spent[trial.instance_id].append(trial.cost.tokens)
    missing = [task.instance_id for task in tasks if not spent[task.instance_id]]
    if missing:
        raise InvalidRequest(f"--budget-from {directory}: holds no trial of task {missing[0]}")
    return {task.instance_id: max(1, math.ceil(_mean(spent[task.instance_id]))) for task in tasks}


def budgets_name(directory: Path, budgets: Mapping[str, int]) -> str:
    """The budgets by name and hash, so that an evaluation is not gone on with under others."""
    digest = hashlib.sha256(json.dumps(budgets, sort_keys=True).encode()).hexdigest()
    return f"{directory.name} ({digest[:12]})"


def _mean(numbers: Sequence[int]) -> float:
    return math.fsum(numbers) / len(numbers)
