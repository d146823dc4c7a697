"""Instances for tests of filters and statistics: invented, whole, and easy to spoil."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.suites.filters_read import instance_of
from wideseek.instances import Question, WideTask

NEAR = {"preprocess": ["extract_number"], "metric": ["number_near"], "criterion": 0.01}
EXACT = {"preprocess": ["norm_str"], "metric": ["exact_match"]}
ROWS = (("Arvo", "Tael", "1200"), ("Besk", "Umra", "3400"), ("Celm", "Vint", "560"), ("Dorn", "Wex", "78"))


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A pipe table as it stands, ragged rows included."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def wide_record(name: str = "w1", rows: Sequence[Sequence[str]] = ROWS, **changes: Any) -> dict[str, Any]:
    """A wide task of an invented suite: country, capital, population."""
    record = {
        "instance_id": name,
        "query": f"Which countries are there? ({name})",
        "evaluation": {
            "required": ["country", "capital", "population"],
            "unique_columns": ["country"],
            "eval_pipeline": {"country": EXACT, "capital": EXACT, "population": NEAR},
        },
        "answer": markdown(["Country", "Capital", "Population"], rows),
        "suite": "invented",
        "split": "train",
    }
    return {**record, **changes}


def question_record(name: str = "q1", **changes: Any) -> dict[str, Any]:
    """A question of an invented suite."""
    record = {
        "instance_id": name,
        "question": f"What is the capital of {name}?",
        "answers": [f"City of {name}"],
        "gold_docs": [f"doc:{name}"],
        "suite": "invented-qa",
        "split": "train",
        "kind": "single_hop",
    }
    return {**record, **changes}


def wide_task(name: str = "w1", rows: Sequence[Sequence[str]] = ROWS, **changes: Any) -> WideTask:
    """The record as a task."""
    task = instance_of(wide_record(name, rows, **changes))
    assert isinstance(task, WideTask)
    return task


def question(name: str = "q1", **changes: Any) -> Question:
    """The record as a question."""
    found = instance_of(question_record(name, **changes))
    assert isinstance(found, Question)
    return found


def write_records(path: Path, records: Sequence[Mapping[str, Any] | str]) -> Path:
    """A file with a record a line; text is written as it stands."""
    lines = [record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
