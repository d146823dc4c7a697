"""What the tests of an evaluation work with: tasks, plans, and a cluster whose runs end as a script says."""

import asyncio
import io
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from services.evaluation.drive import Means
from services.evaluation.options import Plan, Setting, Work
from services.evaluation.results import AnswerScores, Cost, Trial
from services.evaluation.summary import group_of
from services.kit.asking import Answered, Patience, Stop
from wideseek.contracts import Run, RunError, RunRequest, RunStatus
from wideseek.errors import RunNotFound
from wideseek.instances import Question, Scores, Task, WideTask

ROWS = (("Peru", "Lima"), ("Chile", "Santiago"))
ANSWER = "| Country | Capital |\n| --- | --- |\n| Peru | Lima |\n| Chile | Santiago |"
PIPELINE = {name: {"preprocess": ["norm_str"], "metric": ["exact_match"]} for name in ("country", "capital")}


def record(name: str, **more: Any) -> dict[str, Any]:
    """A wide task, as a line of a task file has it."""
    evaluation = {"required": ["country", "capital"], "unique_columns": ["country"], "eval_pipeline": PIPELINE}
    body = {"instance_id": name, "query": f"{name}: Country, Capital?", "evaluation": evaluation, "answer": ANSWER}
    return {**body, "suite": "tiny-wide", "difficulty": "named", **more}


def wide(name: str, **more: Any) -> WideTask:
    return WideTask.model_validate(record(name, **more))


def question(name: str, **more: Any) -> Question:
    body = {"instance_id": name, "question": f"{name}: capital of Peru?", "answers": ["Lima"], "suite": "tiny-qa"}
    return Question.model_validate({**body, "kind": "single_hop", **more})


def write_tasks(path: Path, *records: Mapping[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def plan_of(directory: Path, *tasks: Task, trials: int = 1, sha256: str = "ab" * 32, **setting: Any) -> Plan:
    return Plan(
        directory=directory,
        url="http://127.0.0.1:8080",
        tasks=tasks,
        tasks_file="tasks.jsonl",
        tasks_sha256=sha256,
        gold_sha256="12" * 32,
        setting=Setting.model_validate(setting),
        trials=trials,
    )


def trial_of(name: str, number: int = 0, item_f1: float = 1.0, **more: Any) -> Trial:
    scores = Scores(score=float(item_f1 == 1), f1_by_item=item_f1, f1_by_row=item_f1 / 2)
    values: dict[str, Any] = {
        "instance_id": name,
        "trial": number,
        "run_id": f"ws_{name}_{number}",
        "status": RunStatus.COMPLETED,
        "suite": "tiny-wide",
        "group": "named",
        "response_text": ANSWER,
        "scores": {"robust": scores, "official": scores},
        "rows_accepted": 2,
        "cost": Cost(tokens=1_000, subagents=2, wall_s=2.0, usd=0.5),
        "seconds": 2.5,
    }
    return Trial.model_validate(values | more)


async def easy_mark(work: Work, answered: Answered) -> Trial:
    """Everything is right; scoring has tests of its own."""
    more: dict[str, Any] = {"run_id": answered.run.id, "status": answered.run.status, "group": group_of(work.task)}
    if isinstance(work.task, Question):
        more |= {"scores": {}, "rows_accepted": None, "answer": AnswerScores(em=1, f1=1, given="Lima")}
    return trial_of(work.task.instance_id, work.trial, **more)


@dataclass
class ScriptedRuns:
    """An orchestrator in memory. Each new run takes the next end from the script; then all are completed."""

    script: list[RunStatus | Exception] = field(default_factory=list)
    endless: bool = False
    runs: dict[str, Run] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    requests: list[RunRequest] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    made: dict[int, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    """Number of runs -> set when there are so many."""

    async def taken_in(self, request: RunRequest, idempotency_key: str) -> tuple[Run, bool]:
        if idempotency_key in self.by_key:
            return self._run(self.by_key[idempotency_key]), True
        end = self.script.pop(0) if self.script else RunStatus.COMPLETED
        if isinstance(end, Exception):
            raise end
        self.requests.append(request)
        run = run_of(f"ws_{len(self.runs)}", request, RunStatus.RUNNING if self.endless else end)
        self.runs[run.id] = run
        self.by_key[idempotency_key] = run.id
        self.made[len(self.runs)].set()
        return run.model_copy(update={"status": RunStatus.QUEUED}), False

    async def get(self, run_id: str, *, wait: float = 0) -> Run:
        return self._run(run_id)

    async def cancel(self, run_id: str) -> Run:
        self.cancelled.append(run_id)
        self.runs[run_id] = self.runs[run_id].model_copy(update={"status": RunStatus.CANCELLED})
        return self.runs[run_id]

    async def events(self, run_id: str, after: int = 0) -> AsyncIterator[dict[str, Any]]:
        yield {"type": "run.completed", "sequence_number": 1, "at": 0.0}

    def _run(self, run_id: str) -> Run:
        if run_id not in self.runs:
            raise RunNotFound(f"no run {run_id}")
        return self.runs[run_id]


def run_of(run_id: str, request: RunRequest, status: RunStatus) -> Run:
    ended: dict[str, Any] = {"completed_at": 102.0, "answer_text": ANSWER} if status.terminal else {}
    if status is RunStatus.FAILED:
        ended["error"] = RunError(code="upstream", message="does not answer", service="model")
    if status is RunStatus.INCOMPLETE:
        ended["incomplete_reason"] = "tool_outage"
    body = {"id": run_id, "status": status, "query": request.query, "mode": request.mode, "model": "scripted"}
    return Run.model_validate({**body, "created_at": 100.0, **ended})


def means_of(runs: ScriptedRuns, *, stop: Stop | None = None, **more: Any) -> Means:
    values: dict[str, Any] = {
        "runs": runs,
        "mark": easy_mark,
        "stop": stop or Stop(),
        "console": Console(file=io.StringIO(), width=200),
        "patience": Patience(tries=3, backoff_s=0.001, poll_s=0.01),
    }
    return Means(**{**values, **more})
