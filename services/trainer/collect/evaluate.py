"""Held-out tasks asked of a fixed policy version, outside of training: the mean over tasks with its 95 % interval.

The runs carry keys that follow from job, version, task and trial, so an evaluation that is begun again finds the runs
there are. An outage is no score: the evaluation fails as a whole, and is asked again by who wanted it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from services.kit.asking import Asking, Patience, Runs, Stop
from services.kit.tasks import read_tasks, request_for
from services.trainer.collect.groups import sampling_of
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

AT_ONCE = 8
"""Runs under way at once, where the job does not say."""

METRICS = ("item_f1", "row_f1", "success", "em", "judged")
"""Of tables by the robust scorer; of questions by exact match and by the judge's word."""


@dataclass(frozen=True)
class VersionEvaluation:
    """The held-out tasks of a job, and how they are asked."""

    record: JobRecord
    runs: Runs
    tasks: Sequence[Task]
    model: Callable[[int], str]
    """The engine's name of a version."""
    judge: Judge = field(default_factory=DeterministicJudge)
    patience: Patience = field(default_factory=Patience)
    stop: Stop = field(default_factory=Stop)

    @classmethod
    def read(cls, record: JobRecord, runs: Runs, model: Callable[[int], str]) -> "VersionEvaluation":
        """The tasks of the job's files. Raises `InvalidInstance` naming file, line and field of a wrong one."""
        return cls(record, runs, [task for path in record.config.evaluation.tasks for task in read_tasks(path)], model)

    async def evaluate(self, version: int) -> tuple[Interval, ...]:
        """The scores of a version, an interval a metric that the tasks have.

        Raises `UpstreamError` when the cluster or the judge is down, `InvalidRequest` when a task is refused.
        """
        trials = [(task, trial) for task in self.tasks for trial in range(self.record.config.evaluation.trials)]
        free = asyncio.Semaphore(self.record.config.rollouts.concurrency or AT_ONCE)
        scored = await run_all(self._scored(version, task, trial, free) for task, trial in trials)
        values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for (task, _), scores in zip(trials, scored, strict=True):
            for metric, value in scores.items():
                values[metric][task.instance_id].append(value)
        return await asyncio.to_thread(_intervals, version, values)

    async def _scored(self, version: int, task: Task, trial: int, free: asyncio.Semaphore) -> Mapping[str, float]:
        async with free:
            request = self._request(version, task, trial)
            answered = await Asking(self.runs, request, self.patience, self.stop).answer()
            text = answered.run.answer_text or ""
            return await self.patience.spend_on(lambda: self._marked(text, task), self.stop)

    def _request(self, version: int, task: Task, trial: int) -> RunRequest:
        config, rollouts = self.record.config, self.record.config.rollouts
        rest = {
            "model": self.model(version),
            "prompt_profile": rollouts.prompt_profile,
            "limits": rollouts.limits,
            "sampling": sampling_of(rollouts.sampling, task.instance_id, trial, 0),
            "metadata": {
                "evaluation": self.record.job_id,
                "version": str(version),
                "instance_id": task.instance_id,
                "trial": str(trial),
            },
        }
        return request_for(task, mode=rollouts.mode, corpora=config.data.corpora, rest=rest)

    async def _marked(self, text: str, task: Task) -> Mapping[str, float]:
        if isinstance(task, WideTask):
            scores = (await score_robust(text, task, self.judge)).scores
            return {"item_f1": scores.f1_by_item, "row_f1": scores.f1_by_row, "success": scores.score}
        found = await score_answer(text, task, self.judge)
        return {"em": found.em, "judged": found.judged or 0.0}


def _intervals(version: int, values: Mapping[str, Mapping[str, Sequence[float]]]) -> tuple[Interval, ...]:
    return tuple(_interval(version, metric, values[metric]) for metric in METRICS if metric in values)


def _interval(version: int, metric: str, trials: Mapping[str, Sequence[float]]) -> Interval:
    found = aggregate(trials)
    low, high = found.ci95
    return Interval(version=version, metric=metric, mean=found.avg, low=low, high=high, tasks=len(trials))
