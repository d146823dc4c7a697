"""Demonstrations recorded: tasks asked of a cluster whose engine demonstrates, and what scored well enough kept.

Every task is asked once, as a run that opts in, so the trainer's own record holds all of it, what was not good enough
too. Which rollouts are kept is a pure function of that record: the same record gives the same file.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from services.kit.asking import Asking, Patience, Runs, Stop
from services.kit.rollouts.store import RolloutStore
from services.kit.tasks import request_for
from services.trainer.collect.attempts import task_label
from wideseek.concurrency import run_all
from wideseek.contracts import Mode, PromptProfile, RunRequest, Training
from wideseek.errors import InvalidRequest
from wideseek.instances import Task, WideTask
from wideseek.judging import DeterministicJudge
from wideseek.metrics import score_robust
from wideseek.questions import score_answer
from wideseek.rollout import Rollout, RolloutSource, RolloutStatus
from wideseek.values import Frozen

SPLIT = "train"


class Kept(Frozen):
    """What became of the tasks: how many were recorded, and of these kept or left out, by reason."""

    recorded: int
    kept: int
    left_out: dict[str, int]
    agents: dict[str, int]
    """Agents of what was kept, by role."""
    tokens: dict[str, int]
    """Tokens of what was kept, prompt and sampled, each agent's contexts counted once, by role."""


@dataclass(frozen=True)
class Recording:
    """How tasks are asked."""

    job_id: str
    """What the rollouts are stored under."""
    runs: Runs
    profile: PromptProfile = PromptProfile.COMPACT
    model: str | None = None
    corpora: tuple[str, ...] = ()
    """What is searched; else the cluster's default corpus."""
    concurrency: int = 8
    patience: Patience = field(default_factory=Patience)
    stop: Stop = field(default_factory=Stop)

    async def record(self, tasks: Sequence[Task], done: Callable[[Task], None]) -> None:
        """Ask every task, `concurrency` at a time; a task that an earlier process has asked is found by its key.

        Raises `InvalidRequest` naming the task that is refused, the last outage when the cluster stays away, and
        `Interrupted`.
        """
        free = asyncio.Semaphore(self.concurrency)

        async def ask(task: Task) -> None:
            async with free:
                await self._answered(task)
                done(task)

        await run_all(ask(task) for task in tasks)

    async def _answered(self, task: Task) -> None:
        asking = Asking(self.runs, self.request(task), self.patience, self.stop)
        try:
            await asking.answer()
        except InvalidRequest as error:
            where = f"{error.field}: " if error.field else ""
            raise InvalidRequest(f"task {task.instance_id} was refused: {where}{error}") from error

    def request(self, task: Task) -> RunRequest:
        """The run of a task."""
        label = task_label(task.instance_id)
        place = Training(opt_in=True, job_id=self.job_id, task_id=label, split=SPLIT)
        rest = {"prompt_profile": self.profile, "training": place, "model": self.model}
        return request_for(task, mode=Mode.MULTI_AGENT, corpora=self.corpora, rest=rest)


@dataclass(frozen=True)
class Selection:
    """Which rollouts are good enough to learn from."""

    min_score: float = 0.95
    """Item F1 of a table by the robust scorer, exact match of an answer."""
    max_agent_tokens: int = 2_048
    """Tokens of the longest context that an agent of it may have."""

    async def why_not(self, rollout: Rollout, task: Task | None) -> str:
        """Why a rollout is left out; empty when it is kept. Raises `JudgeUnavailable` never: rules judge."""
        if rollout.source is not RolloutSource.DEMONSTRATION:
            return "no_demonstration"
        if rollout.status is not RolloutStatus.OK:
            return rollout.status.value
        if task is None:
            return "unknown_task"
        if max(agent_tokens(rollout)) > self.max_agent_tokens:
            return "too_long"
        return "" if await score_of(rollout.answer_text, task) >= self.min_score else "low_score"


async def score_of(answer: str, task: Task) -> float:
    """Item F1 of a table, exact match of an answer, from 0 to 1."""
    if isinstance(task, WideTask):
        return (await score_robust(answer, task, DeterministicJudge())).scores.f1_by_item
    return (await score_answer(answer, task, DeterministicJudge())).em


def agent_tokens(rollout: Rollout) -> Iterator[int]:
    """The length of each agent's last context with what it sampled there."""
    for agent in rollout.agents:
        turn = agent.turns[-1] if agent.turns else None
        yield len(turn.prompt_token_ids) + len(turn.sampled_token_ids) if turn else 0


async def select(
    store: RolloutStore, job_id: str, tasks: Iterable[Task], selection: Selection
) -> tuple[list[Rollout], Kept]:
    """The rollouts of a job that are kept, one a task, by rollout id; and the count.

    Raises `StoreUnavailable`, and `RolloutCorrupt` for an object that does not hash to its name.
    """
    by_label = {task_label(task.instance_id): task for task in tasks}
    entries = sorted(await asyncio.to_thread(lambda: list(store.scan(job_id))), key=lambda entry: entry.rollout_id)
    kept: list[Rollout] = []
    seen: set[str] = set()
    reasons: Counter[str] = Counter()
    for entry in entries:
        rollout = await asyncio.to_thread(store.get, entry.uri, entry.sha256)
        label = entry.task_id or ""
        reason = "duplicate" if label in seen else await selection.why_not(rollout, by_label.get(label))
        if reason:
            reasons[reason] += 1
        else:
            seen.add(label)
            kept.append(rollout)
    return kept, _counted(kept, len(entries), reasons)


def _counted(kept: Sequence[Rollout], recorded: int, reasons: Counter[str]) -> Kept:
    agents: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    for rollout in kept:
        for agent, size in zip(rollout.agents, agent_tokens(rollout), strict=True):
            agents[agent.role.value] += 1
            tokens[agent.role.value] += size
    return Kept(
        recorded=recorded,
        kept=len(kept),
        left_out=dict(sorted(reasons.items())),
        agents=dict(sorted(agents.items())),
        tokens=dict(sorted(tokens.items())),
    )
