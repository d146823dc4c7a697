"""One evaluation: every task and trial to its end, a bounded number at a time, each stored as soon as it is scored."""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from rich.console import Console

from services.evaluation.journal import About, Journal, open_journal, take_up, write_atomically
from services.evaluation.live import Board, shown
from services.evaluation.options import Plan, Work, request_of
from services.evaluation.results import Summary, Trial
from services.evaluation.summary import summarise
from services.kit.asking import Answered, Asking, Interrupted, Patience, Runs, Stop
from wideseek.clients.orchestrator import OrchestratorUnavailable
from wideseek.concurrency import run_all
from wideseek.contracts import RunRequest
from wideseek.errors import ContractViolation, InvalidRequest, UpstreamError, WideseekError

SUMMARY = "summary.json"

Mark = Callable[[Work, Answered], Awaitable[Trial]]
"""Scores an answer. Raises `JudgeUnavailable`."""


@dataclass(frozen=True)
class Means:
    """What an evaluation works with."""

    runs: Runs
    mark: Mark
    stop: Stop
    console: Console
    """Where progress and remarks go."""
    concurrency: int = 4
    patience: Patience = field(default_factory=Patience)
    check: Callable[[], None] = lambda: None
    """Asked before the first run: raises when there is no cluster to ask."""
    assumptions: Callable[[], Mapping[str, float | str]] = dict
    """Prices and energy figures that costs were reckoned with, and how far judges agreed; asked at the end."""


async def evaluate(plan: Plan, means: Means, *, name: str = "") -> Summary:
    """Do what of the plan has not been done, and write the summary of all there is.

    Trials that could not be had are named in `unfinished`. Raises `InvalidRequest` when the folder holds
    another evaluation or a request is refused; what was finished before is kept.
    """
    check_requests(plan)
    plan.directory.mkdir(parents=True, exist_ok=True)
    with open_journal(plan.directory) as journal:
        taken = take_up(plan.directory, about(plan))
        if journal.note:
            means.console.print(journal.note, soft_wrap=True, markup=False)
        _check_known(plan, journal)
        pending = [work for work in plan.work if (work.task.instance_id, work.trial) not in journal.trials]
        requests = [(work, request_of(work, plan, taken.id)) for work in pending]
        drive = _Drive(means, journal, Board(total=len(plan.work), name=name))
        drive.board.keep(journal.trials.values())
        if requests and not means.stop.is_set:
            means.check()
            async with shown(drive.board, means.console):
                await drive.work_on(requests)
        unfinished = {
            work.name: drive.why.get(work.name, means.stop.why or "not begun")
            for work in plan.work
            if (work.task.instance_id, work.trial) not in journal.trials
        }
        summary = summarise(plan, journal.trials.values(), unfinished, means.assumptions())
    write_atomically(plan.directory / SUMMARY, summary.model_dump_json(indent=2))
    if drive.refusal is not None:
        raise drive.refusal
    return summary


def check_requests(plan: Plan) -> None:
    """Raise `InvalidRequest` naming the task that cannot be asked in this setting, before anything is."""
    for work in plan.work:
        request_of(work, plan, "")


def about(plan: Plan, *, sweep: str = "") -> About:
    """What an evaluation's folder says of itself; `sweep` is the key that is varied."""
    return About(
        id=uuid4().hex,
        url=plan.url,
        tasks=plan.tasks_file,
        tasks_sha256=plan.tasks_sha256,
        gold_sha256=plan.gold_sha256,
        setting=plan.setting,
        trials=plan.trials,
        instance_ids=tuple(task.instance_id for task in plan.tasks),
        sweep=sweep,
        created_at=time.time(),
    )


def _check_known(plan: Plan, journal: Journal) -> None:
    known = {(work.task.instance_id, work.trial) for work in plan.work}
    for number, (instance_id, trial) in enumerate(journal.trials, 1):
        if (instance_id, trial) not in known:
            place = f"{plan.directory / 'results.jsonl'}:{number}"
            raise InvalidRequest(f"{place}: instance_id: trial {trial} of {instance_id} is not of this evaluation")


class _Drive:
    """The trials under way."""

    def __init__(self, means: Means, journal: Journal, board: Board) -> None:
        self._means = means
        self._journal = journal
        self.board = board
        self.why: dict[str, str] = {}
        """Name of the work -> why it was left unfinished."""
        self.refusal: WideseekError | None = None

    async def work_on(self, requests: Sequence[tuple[Work, RunRequest]]) -> None:
        """Bring all of them to their ends, `concurrency` at a time."""
        rest = iter(requests)
        await run_all(self._lane(rest) for _ in range(min(self._means.concurrency, len(requests))))

    async def _lane(self, rest: Iterator[tuple[Work, RunRequest]]) -> None:
        for work, request in rest:
            if self._means.stop.is_set:
                return
            self.board.begin()
            try:
                trial = await self._trial(work, request)
            except Interrupted as stopped:
                self._leave(work, str(stopped))
            except UpstreamError as outage:
                self._leave(work, f"{outage.service}: {outage}")
                if isinstance(outage, OrchestratorUnavailable):
                    self._means.stop.set(f"orchestrator: {outage}")
            except (InvalidRequest, ContractViolation) as refusal:
                self._leave(work, str(refusal))
                self._refused(work, refusal)
            else:
                self._journal.append(trial)
                self.board.end(trial)

    async def _trial(self, work: Work, request: RunRequest) -> Trial:
        means = self._means
        answered = await Asking(means.runs, request, means.patience, means.stop).answer()
        return await means.patience.spend_on(lambda: means.mark(work, answered), means.stop)

    def _leave(self, work: Work, why: str) -> None:
        self.why[work.name] = why
        self.board.leave()

    def _refused(self, work: Work, refusal: InvalidRequest | ContractViolation) -> None:
        """What the cluster refuses once it refuses always, and what it garbles once: nothing more is asked."""
        what, where = "cannot be evaluated", ""
        if isinstance(refusal, InvalidRequest):
            what, where = "was refused", f"{refusal.field}: " if refusal.field else ""
        self.refusal = self.refusal or InvalidRequest(f"task {work.task.instance_id} {what}: {where}{refusal}")
        self._means.stop.set(f"stopped: a task {what}")
