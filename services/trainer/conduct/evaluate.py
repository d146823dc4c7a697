"""Held-out tasks asked of one policy version through the cluster, and scored by the robust scorer.

Every task is asked `trials` times; a metric is the mean over tasks of the mean over trials, its interval a bootstrap
over tasks (`wideseek.aggregates`). Wide tasks give item F1, row F1 and success, questions EM and F1.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from services.kit.asking import Asking, Patience, Runs, Stop
from services.kit.tasks import read_tasks, request_for
from services.trainer.config import JobConfig
from services.trainer.folder import JobRecord
from services.trainer.metrics.record import Interval
from wideseek.aggregates import aggregate
from wideseek.concurrency import run_all
from wideseek.contracts import RunRequest
from wideseek.instances import Task, WideTask
from wideseek.judging import DeterministicJudge
from wideseek.metrics import score_robust
from wideseek.ports import Judge
from wideseek.questions import score_answer

_IN_FLIGHT = 8


@dataclass(frozen=True)
class VersionEvaluation:
    """The held-out tasks of one job."""

    record: JobRecord
    runs: Runs
    tasks: Sequence[Task]
    model: Callable[[int], str]
    """The engine's name of a version."""
    judge: Judge = field(default_factory=DeterministicJudge)
    patience: Patience = field(default_factory=Patience)

    @classmethod
    def read(cls, record: JobRecord, runs: Runs, model: Callable[[int], str]) -> "VersionEvaluation":
        """The tasks of the job's files. Raises `InvalidInstance` naming file, line and field of a wrong one."""
        tasks = [task for path in record.config.evaluation.tasks for task in read_tasks(path)]
        return cls(record, runs, tasks, model)

    async def evaluate(self, version: int) -> tuple[Interval, ...]:
        """The scores of a version.

        Raises the `UpstreamError` of a task that could not be had: asked again, the runs that ended are found again.
        """
        free = asyncio.Semaphore(self.record.config.rollouts.concurrency or _IN_FLIGHT)
        asked = [(task, trial) for task in self.tasks for trial in range(self.record.config.evaluation.trials)]
        scores = await run_all(self._scored(task, trial, version, free) for task, trial in asked)
        by_metric: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for (task, _), found in zip(asked, scores, strict=True):
            for metric, value in found.items():
                by_metric[metric][task.instance_id].append(value)
        return tuple(_interval(version, metric, trials) for metric, trials in sorted(by_metric.items()))

    async def _scored(self, task: Task, trial: int, version: int, free: asyncio.Semaphore) -> dict[str, float]:
        async with free:
            asking = Asking(self.runs, self._request(task, trial, version), self.patience, Stop())
            answered = await asking.answer()
        text = answered.run.answer_text or ""
        if isinstance(task, WideTask):
            scores = (await score_robust(text, task, self.judge)).scores
            return {"item_f1": scores.f1_by_item, "row_f1": scores.f1_by_row, "success": scores.score}
        answer = await score_answer(text, task, self.judge)
        return {"em": answer.em, "f1": answer.f1}

    def _request(self, task: Task, trial: int, version: int) -> RunRequest:
        config: JobConfig = self.record.config
        rest = {
            "model": self.model(version),
            "prompt_profile": config.rollouts.prompt_profile,
            "limits": config.rollouts.limits,
            "metadata": {
                "training_job": self.record.job_id,
                "evaluated_version": str(version),
                "task": task.instance_id[:200],
                "trial": str(trial),
            },
        }
        return request_for(task, mode=config.rollouts.mode, corpora=config.data.corpora, rest=rest)


def _interval(version: int, metric: str, trials: Mapping[str, Sequence[float]]) -> Interval:
    found = aggregate(trials)
    return Interval(
        version=version, metric=metric, mean=found.avg, low=found.ci95[0], high=found.ci95[1], tasks=len(trials)
    )
