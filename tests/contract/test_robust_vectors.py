"""The robust scorer against the reference vectors, each through a judge that answers what the vector says.

Of the two admissible readings of `alias_duplicates` ours is the primary one, `expected`: a row named by an alias of
an entity listed above it is a duplicate.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wideseek.instances import InvalidInstance, WideTask
from wideseek.judging import DeterministicJudge, NoJudge
from wideseek.metrics import ScoreOptions, TableScore, score_robust
from wideseek.ports import Alignment, AnswerPair, ColumnPairs, Judge

pytestmark = pytest.mark.shared_data
Vector = Mapping[str, Any]


@dataclass(frozen=True)
class VectorJudge:
    """Answers what a vector assumes its aligner and judge to have answered."""

    vector: Vector

    async def align(self, alignment: Alignment) -> Mapping[str, str]:
        told: Mapping[str, str] = self.vector.get("key_map", {}).get(alignment.column, {})
        return told

    async def judge_column(self, cells: ColumnPairs) -> Sequence[float]:
        scores: Sequence[float] = self.vector["judge_scores"][cells.column]
        return scores

    async def judge_answer(self, answer: AnswerPair) -> bool:
        raise AssertionError("a table asks for no answer to be judged")


def vectors(shared_data: Path) -> list[Vector]:
    lines = (shared_data / "scorer" / "robust_vectors.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def task_of(vector: Vector) -> WideTask:
    return WideTask(instance_id=vector["id"], evaluation=vector["evaluation"], answer=vector["gold_markdown"])


async def scored(vector: Vector, judge: Judge) -> TableScore:
    options = ScoreOptions(**vector.get("options", {}))
    return await score_robust(vector["response_text"], task_of(vector), judge, options)


async def disagreement(vector: Vector, judge: Judge) -> str:
    """What differs from the vector's expectation; empty when nothing does."""
    expected = vector["expected"]
    try:
        score = await scored(vector, judge)
    except InvalidInstance as refusal:
        return "" if expected.get("rejected") else f"refused: {refusal}"
    given = score.scores.model_dump()
    same = not expected.get("rejected") and given == pytest.approx(expected, abs=1e-9)
    return "" if same else f"{vector['category']}: {given} {score.problem}, expected {expected}"


async def test_every_vector_is_met(shared_data: Path) -> None:
    told = {vector["id"]: await disagreement(vector, VectorJudge(vector)) for vector in vectors(shared_data)}

    assert {name: problem for name, problem in told.items() if problem} == {}
    assert len(told) == 31


@pytest.mark.parametrize("judge", [NoJudge(), DeterministicJudge()])
async def test_vectors_that_assume_no_judge_are_met_with_any(shared_data: Path, judge: Judge) -> None:
    free = [vector for vector in vectors(shared_data) if not {"key_map", "judge_scores"} & vector.keys()]

    told = {vector["id"]: await disagreement(vector, judge) for vector in free}

    assert {name: problem for name, problem in told.items() if problem} == {}
    assert len(free) >= 20


async def test_the_counts_behind_the_numbers_are_met(shared_data: Path) -> None:
    counted = [vector for vector in vectors(shared_data) if vector.get("counts", {}).get("response_rows")]

    scores = [await scored(vector, VectorJudge(vector)) for vector in counted]

    assert [(score.rows_right, score.rows_answered, score.rows_gold) for score in scores] == [
        tuple(vector["counts"][name] for name in ("row_tp", "response_rows", "gold_rows")) for vector in counted
    ]


async def test_what_the_official_scorer_calls_perfect_is_perfect_here(shared_data: Path) -> None:
    """Ours is never the stricter one on a table right in full, where the official one is right to say so."""
    lines = (shared_data / "scorer" / "official_vectors.jsonl").read_text("utf-8").splitlines()
    perfect = [
        vector
        for vector in map(json.loads, lines)
        if vector["category"] == "perfect" and vector["expected"]["f1_by_item"] == 1
    ]

    told = {vector["id"]: await disagreement(vector, DeterministicJudge()) for vector in perfect}

    assert {name: problem for name, problem in told.items() if problem} == {}
    assert perfect
