"""Scoring responses against loaded tasks: lines, means, gold that cannot be read, a judge that is down."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from services.evaluation.files import Response
from services.evaluation.score import ScoreMode, Scorer, means, score_responses, unanswered
from services.kit.tasks import Loaded
from services.kit.tasks.lines import Place
from wideseek.errors import JudgeUnavailable
from wideseek.instances import InvalidInstance, Question, WideTask
from wideseek.judging import NoJudge
from wideseek.metrics import ScoreOptions
from wideseek.ports import Alignment, AnswerPair, ColumnPairs, Judge

GOLD = "| Country | Capital |\n| --- | --- |\n| France | Paris |\n| Peru | Lima |"
QUESTION = Question(instance_id="q", question="The capital of Peru?", answers=("Lima",))


class Down:
    """A judge that is not there."""

    async def align(self, alignment: Alignment) -> Mapping[str, str]:
        raise JudgeUnavailable("refused")

    async def judge_column(self, cells: ColumnPairs) -> Sequence[float]:
        raise JudgeUnavailable("refused")

    async def judge_answer(self, answer: AnswerPair) -> bool:
        raise JudgeUnavailable("refused")


def wide(name: str = "one", answer_csv: str = "") -> WideTask:
    rule = {"preprocess": ["norm_str"], "metric": ["exact_match"]}
    pipeline = {"country": rule, "capital": rule}
    evaluation = {"required": ["country", "capital"], "unique_columns": ["country"], "eval_pipeline": pipeline}
    record = {"instance_id": name, "evaluation": evaluation, "answer": GOLD, "answer_csv": answer_csv}
    return WideTask.model_validate(record)


def loaded(*tasks: WideTask | Question, rejected: str = "") -> list[Loaded]:
    return [Loaded(Place(Path("tasks.jsonl"), number), task, rejected) for number, task in enumerate(tasks, 1)]


def scorer(mode: ScoreMode = ScoreMode.ROBUST, judge: Judge | None = None) -> Scorer:
    return Scorer(mode, judge or NoJudge(), judge, ScoreOptions())


def response(name: str = "one", text: str | None = GOLD, trial: int = 0) -> Response:
    return Response(instance_id=name, trial=trial, response_text=text)


@pytest.mark.parametrize("mode", list(ScoreMode))
async def test_lines_keep_the_order_of_responses_and_each_is_told(mode: ScoreMode) -> None:
    responses = [response("two", None), response("one", trial=1), response("one", text="none")]
    told: list[None] = []

    lines = await score_responses(loaded(wide(), wide("two")), responses, scorer(mode), lambda: told.append(None))

    assert [(line["instance_id"], line["trial"], line["score"]) for line in lines] == [
        ("two", 0, 0.0),
        ("one", 1, 1.0),
        ("one", 0, 0.0),
    ]
    assert len(told) == 3


@pytest.mark.parametrize("mode", list(ScoreMode))
@pytest.mark.parametrize("asked", [wide(), QUESTION], ids=["table", "answer"])
async def test_an_outage_of_the_judge_ends_the_scoring(mode: ScoreMode, asked: WideTask | Question) -> None:
    said = response(asked.instance_id, r"\boxed{Lima} " + GOLD.replace("Country", "Land"))

    with pytest.raises(JudgeUnavailable):
        await score_responses(loaded(asked), [said], scorer(mode, Down()), lambda: None)


async def test_a_rejected_task_gives_its_reason_instead_of_numbers() -> None:
    (line,) = await score_responses(loaded(wide(), rejected="tasks.jsonl:1: why"), [response()], scorer(), lambda: None)

    assert line == {"instance_id": "one", "trial": 0, "rejected": True, "why": "tasks.jsonl:1: why"}


async def test_a_gold_that_official_mode_cannot_read_is_named_before_anything_is_scored() -> None:
    unclosed = wide("two", answer_csv='Country,Capital\nFrance,"Paris\n')
    told: list[None] = []

    with pytest.raises(InvalidInstance, match=r"^tasks\.jsonl:2: answer: cannot be read as CSV") as caught:
        await score_responses(
            loaded(wide(), unclosed), [response()], scorer(ScoreMode.OFFICIAL), lambda: told.append(None)
        )

    assert "\n" not in str(caught.value)
    assert not told


def test_means_are_of_what_each_line_holds() -> None:
    table: dict[str, Any] = {"f1_by_item": 0.75, "f1_by_row": 0.5, "score": 0.0}
    lines: list[dict[str, Any]] = [
        table,
        {**table, "f1_by_item": 0.25},
        {"em": 1.0, "f1": 1.0},
        {"rejected": True, "why": ""},
    ]

    assert means(lines) == "4 responses: item F1 0.500, row F1 0.500, success 0.000, EM 1.000, F1 1.000; 1 rejected"
    assert means([{"rejected": True}]) == "1 response: 1 rejected"


def test_tasks_without_a_response_are_found_in_their_order() -> None:
    tasks = loaded(wide("c"), wide("a"), QUESTION, wide("b"))

    assert unanswered(tasks, [response("a"), response("a", trial=1)]) == ["c", "q", "b"]
