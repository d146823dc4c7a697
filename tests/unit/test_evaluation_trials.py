"""From an ended run to a trial: scored by the real scorers, measured by its events, never 0 for an outage."""

from typing import Any

import pytest

from services.evaluation.cost import Rates
from services.evaluation.options import Work
from services.evaluation.results import Trial
from services.evaluation.trials import Marking, evidence_recall
from services.kit.asking import Answered
from tests.evaluation_parts import question, run_of, wide
from wideseek.contracts import RunRequest, RunStatus
from wideseek.errors import JudgeUnavailable
from wideseek.instances import Task
from wideseek.judging import DeterministicJudge, NoJudge
from wideseek.ports import Alignment, AnswerPair, ColumnPairs, Judge

TABLE = "| Country | Capital |\n| --- | --- |\n| Peru | Lima |\n| Chile | Arica |"
URL = "factbook:south-america/pe"


class NobodyJudges:
    """A judge that is down."""

    async def align(self, alignment: Alignment) -> dict[str, str]:
        raise JudgeUnavailable("does not answer")

    async def judge_column(self, cells: ColumnPairs) -> list[float]:
        raise JudgeUnavailable("does not answer")

    async def judge_answer(self, answer: AnswerPair) -> bool:
        raise JudgeUnavailable("does not answer")


def events() -> list[dict[str, Any]]:
    """A lead's turn, and a page that it opened."""
    source = {"url": URL, "content_sha256": "ab" * 32, "start": 0, "end": 9}
    call = {"name": "access", "arguments": {"urls": [{"url": URL, "info_to_extract": "capital"}]}}
    who = {"agent_id": "single", "role": "single", "turn": 0}
    return [
        {"type": "turn.started", **who, "at": 100.0, "sequence_number": 1},
        {
            "type": "turn.completed",
            **who,
            "at": 101.0,
            "completion": {"text": "", "prompt_tokens": 90, "completion_tokens": 10, "seconds": 1.0},
            "sequence_number": 2,
        },
        {"type": "tool.called", **who, "index": 0, "call": call, "at": 101.0, "sequence_number": 3},
        {
            "type": "tool.completed",
            **who,
            "index": 0,
            "result": {"call": call, "sources": [source], "content_chars": 9, "seconds": 0.5},
            "at": 101.5,
            "sequence_number": 4,
        },
    ]


async def marked(task: Task, text: str | None, judge: Judge | None = None, **rates: float) -> Trial:
    run = run_of("ws_1", RunRequest(query="?"), RunStatus.COMPLETED).model_copy(update={"answer_text": text})
    marking = Marking(judge or DeterministicJudge(), Rates.model_validate(rates))
    return await marking.mark(Work(task, 2), Answered(run, events(), 2.5))


async def test_a_table_is_scored_in_both_modes() -> None:
    trial = await marked(wide("a", gold_docs={"Peru": URL, "Chile": "factbook:south-america/ci"}), TABLE)

    assert (trial.instance_id, trial.trial, trial.run_id, trial.model) == ("a", 2, "ws_1", "scripted")
    assert trial.scores["robust"].f1_by_item == trial.scores["official"].f1_by_item == 0.75
    assert trial.scores["robust"].f1_by_row == 0.5
    assert trial.columns == {"country": 1.0, "capital": 0.5}
    assert trial.rows_accepted == 1
    assert (trial.suite, trial.group) == ("tiny-wide", "named")
    assert trial.evidence_recall == 0.5
    assert trial.response_text == TABLE
    assert trial.answer is None


async def test_what_a_run_took_is_measured_at_the_rates_given() -> None:
    trial = await marked(wide("a"), TABLE, usd_per_mtok_prompt=100.0, usd_per_mtok_completion=1_000.0)

    assert (trial.cost.tokens, trial.cost.model_calls, trial.cost.tool_calls) == (100, 1, 1)
    assert trial.cost.usd == pytest.approx(90 * 100 / 1e6 + 10 * 1_000 / 1e6)
    assert trial.cost.usd_per_row == trial.cost.usd
    assert trial.seconds == 2.5


async def test_a_run_without_an_answer_scores_nothing_and_says_why() -> None:
    trial = await marked(wide("a"), None)

    assert trial.scores["robust"].f1_by_item == 0.0
    assert trial.problem
    assert trial.response_text == ""


async def test_an_answer_is_scored_by_match_and_judge() -> None:
    trial = await marked(question("q"), r"It is \boxed{Lima, Peru}.")

    assert trial.answer is not None
    assert (trial.answer.em, trial.answer.given) == (0.0, "Lima, Peru")
    assert trial.answer.f1 == pytest.approx(2 / 3)
    assert trial.answer.judged is not None
    assert trial.scores == {}
    assert trial.rows_accepted is None
    assert trial.group == "single_hop"


async def test_without_a_judge_an_answer_is_only_matched() -> None:
    trial = await marked(question("q"), r"\boxed{Lima}", NoJudge())

    assert trial.answer is not None
    assert (trial.answer.em, trial.answer.judged) == (1.0, None)


@pytest.mark.parametrize(("task", "text"), [(wide("a"), TABLE), (question("q"), r"\boxed{Lima}")])
async def test_a_judge_that_is_down_is_raised(task: Task, text: str) -> None:
    with pytest.raises(JudgeUnavailable):
        await marked(task, text, NobodyJudges())


def test_evidence_of_a_task_that_names_none_is_unknown() -> None:
    assert evidence_recall(wide("a"), frozenset({URL})) is None
