"""From an ended run to a scored trial: both modes for a table, exact match and F1 for an answer, and what it took."""

import time
from dataclasses import dataclass
from typing import Any

from services.evaluation.cost import Rates, measure
from services.evaluation.options import Work
from services.evaluation.results import AnswerScores, Trial
from services.evaluation.summary import group_of
from services.kit.asking import Answered
from wideseek.instances import Question, Task, WideTask
from wideseek.judging import NoJudge
from wideseek.metrics import score_robust
from wideseek.ports import Judge
from wideseek.questions import score_answer


@dataclass(frozen=True)
class Marking:
    """Scores runs by what the tasks say is right."""

    judge: Judge
    rates: Rates

    async def mark(self, work: Work, answered: Answered) -> Trial:
        """The trial. Raises `JudgeUnavailable` when the judge is down: an outage is no score."""
        task, run = work.task, answered.run
        text = run.answer_text or ""
        scored = await self._table(task, text) if isinstance(task, WideTask) else await self._answer(task, text)
        measured = measure(answered.events, run, rates=self.rates, accepted_rows=scored.get("rows_accepted"))
        return Trial(
            instance_id=task.instance_id,
            trial=work.trial,
            run_id=run.id,
            status=run.status,
            suite=task.suite,
            group=group_of(task),
            model=run.model,
            response_text=text,
            incomplete_reason=run.incomplete_reason,
            evidence_recall=evidence_recall(task, measured.opened),
            format_failures=measured.format_failures,
            usage=run.usage,
            seconds=answered.seconds,
            cost=measured.cost,
            finished_at=time.time(),
            **scored,
        )

    async def _table(self, task: WideTask, text: str) -> dict[str, Any]:
        from wideseek.official import score_official  # noqa: PLC0415  # pandas, only where tables are scored

        robust = await score_robust(text, task, self.judge)
        official = await score_official(text, task, self.judge)
        return {
            "scores": {"robust": robust.scores, "official": official},
            "columns": robust.columns,
            "problem": robust.problem,
            "rows_accepted": robust.rows_right,
        }

    async def _answer(self, task: Question, text: str) -> dict[str, Any]:
        judge = None if isinstance(self.judge, NoJudge) else self.judge
        found = await score_answer(text, task, judge)
        scores = AnswerScores(em=found.em, f1=found.f1, judged=found.judged, given=found.given)
        return {"answer": scores, "problem": found.problem}


def evidence_recall(task: Task, opened: frozenset[str]) -> float | None:
    """Gold documents that were opened over gold documents; None when the task names none."""
    wanted = set(task.documents)
    return len(wanted & opened) / len(wanted) if wanted else None
