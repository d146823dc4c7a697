"""One rollout of a group: asked for, read back, checked and rewarded; asked again when an outage took it.

| what happened | reason | asked again |
| --- | --- | --- |
| the run failed, was cancelled, or is incomplete for an outage | `run_failed`, `cancelled`, `tool_outage` … | yes |
| its log has expired, or nothing was stored of it | `run_gone`, `not_stored` | yes |
| the object is corrupt (and in quarantine now) | `corrupt` | yes |
| the record says that the cluster failed it | `infra_error` | yes |
| other weights than the group's sampled it | `wrong_weights` | yes |
| the pinned version is no longer served | `version_unloaded` | yes |
| a demonstration: the cluster serves no policy | - | no: the job ends with an error that says so |

An outage of orchestrator, store, index or judge is sat out while the group is open; none becomes a reward.
"""

import asyncio
import hashlib
import re
from dataclasses import dataclass

from services.kit.asking import lost
from services.kit.logs import get_logger
from services.kit.rollouts.entry import StoredReward, StoredRollout
from services.kit.rollouts.paths import reward_path
from services.kit.rollouts.store import RolloutCorrupt
from services.kit.tasks import request_for
from services.trainer.collect.asker import Asker, Pace
from services.trainer.collect.groups import AgentFacts, CollectedRollout, Facts, OpenGroup, run_key, sampling_of
from services.trainer.collect.scoring import Scoring
from services.trainer.collect.shelf import Shelf
from services.trainer.config import JobConfig
from services.trainer.objective.credit import LIMITS, lead_of, masked_tokens, shape
from wideseek.contracts import Run, RunRequest, RunStatus, Training
from wideseek.errors import ContractViolation, InvalidRequest, RunNotFound
from wideseek.instances import Task
from wideseek.rollout import AgentStatus, Reward, Rollout, RolloutSource, RolloutStatus

SPLIT = "train"
_PLAIN = re.compile(r"[\w:~+=,()-](?:[\w .:~+=,()-]{0,198}[\w:~+=,()-])?")

log = get_logger(__name__)


class Missed(Exception):
    """An attempt gave no rollout; the message is the reason."""

    def __init__(self, reason: str, rollout_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.rollout_id = rollout_id


@dataclass(frozen=True)
class Pupil:
    """The policy of a job, as the cluster is to serve it."""

    job_id: str
    config: JobConfig
    base_model: str
    """The engine's name of the weights that version 0 stands for."""

    def model(self, version: int) -> str:
        """The engine's name of a version."""
        return f"{self.config.policy}@v{version}" if version else self.base_model

    def request(self, group: OpenGroup, task: Task, index: int, attempt: int) -> RunRequest:
        """The run of a rollout. Raises `InvalidRequest` naming the task that cannot be asked."""
        rollouts = self.config.rollouts
        training = Training(
            opt_in=True,
            job_id=self.job_id,
            group_id=group.group_id,
            index_in_group=index,
            attempt=attempt,
            task_id=task_label(group.task_id),
            split=SPLIT,
        )
        rest = {
            "model": self.model(group.version),
            "prompt_profile": rollouts.prompt_profile,
            "limits": rollouts.limits,
            "sampling": sampling_of(rollouts.sampling, group.group_id, index, attempt),
            "training": training,
        }
        return request_for(task, mode=rollouts.mode, corpora=self.config.data.corpora, rest=rest)


def task_label(instance_id: str) -> str:
    """The id as a run may carry it: itself where it is a plain name, else a hash of it."""
    if _PLAIN.fullmatch(instance_id) and ".." not in instance_id:
        return instance_id
    return "task-" + hashlib.sha256(instance_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Attempts:
    """Brings rollouts of groups to their ends."""

    def __init__(self, pupil: Pupil, asker: Asker, shelf: Shelf, scoring: Scoring, pace: Pace) -> None:
        self._pupil = pupil
        self._asker = asker
        self._shelf = shelf
        self._scoring = scoring
        self._pace = pace

    async def one(self, group: OpenGroup, task: Task, index: int, attempt: int) -> CollectedRollout:
        """The rollout of one attempt; one that is stored already is not asked for again.

        Raises `Missed`, and `InvalidRequest` for what will be refused always.
        """
        entry = self._shelf.held(group.group_id, index, attempt)
        if entry is None:
            entry = await self._asked(group, task, index, attempt)
        rollout = await self._read(entry)
        self._check(rollout, group)
        reward, file = await self._pace.persist(lambda: self._rewarded(rollout, task), "reward")
        facts = _facts(rollout, reward)
        shaped = shape(rollout, group.group_id, reward, self._scoring.weights.failed_subagent)
        return CollectedRollout(
            stored=entry, reward=reward, reward_file=file, shape=shaped, masks=reward.masks, facts=facts
        )

    async def _asked(self, group: OpenGroup, task: Task, index: int, attempt: int) -> StoredRollout:
        request = self._pupil.request(group, task, index, attempt)
        key = run_key(self._pupil.job_id, group.group_id, index, attempt)
        try:
            run = await self._asker.ended((group.group_id, index), request, key)
        except RunNotFound as error:
            raise Missed("run_gone") from error
        except InvalidRequest as refusal:
            if group.version and refusal.field == "/model":
                raise Missed("version_unloaded") from refusal
            raise InvalidRequest(f"task {task.instance_id} was refused: {refusal}", field=refusal.field) from refusal
        why = lost(run)
        if why:
            log.warning("collect_run_lost", group=group.group_id, index=index, attempt=attempt, why=why)
            raise Missed(_reason(run), run.rollout_id)
        name = run.rollout_id
        entry = None if name is None else await self._pace.persist(lambda: self._shelf.find(name), "index")
        if entry is None:
            raise Missed("not_stored", name)
        return entry

    async def _read(self, entry: StoredRollout) -> Rollout:
        store = self._shelf.store
        try:
            return await self._pace.persist(lambda: asyncio.to_thread(store.get, entry.uri, entry.sha256), "store")
        except ContractViolation as error:
            log.exception("collect_rollout_corrupt", rollout=entry.rollout_id, why=str(error))
            raise Missed("corrupt", entry.rollout_id) from error

    def _check(self, rollout: Rollout, group: OpenGroup) -> None:
        """Raise `Missed` for what says nothing about the group's policy, `InvalidRequest` for a demonstration."""
        name = rollout.rollout_id
        if rollout.source is not RolloutSource.POLICY:
            raise InvalidRequest(
                f"rollout {name} is a demonstration: the cluster's model is no policy that can be trained; serve one "
                "(wideseek up --model smollm2 --policy none), or learn from demonstrations with mode: sft"
            )
        if rollout.status not in {RolloutStatus.OK, RolloutStatus.FAILED_TASK}:
            raise Missed(rollout.status.value, name)
        if lead_of(rollout).status in {AgentStatus.ERROR, AgentStatus.CANCELLED}:
            raise Missed(RolloutStatus.INFRA_ERROR.value, name)
        wanted, turns = self._pupil.model(group.version), [turn for agent in rollout.agents for turn in agent.turns]
        names = {turn.model_name for turn in turns}
        versions = {span.version for turn in turns for span in turn.weight_version_spans}
        if names - {wanted} or versions - {group.version}:
            log.error(
                "collect_wrong_weights", rollout=name, wanted=wanted, names=sorted(names), versions=sorted(versions)
            )
            raise Missed("wrong_weights", name)

    async def _rewarded(self, rollout: Rollout, task: Task) -> tuple[Reward, StoredReward]:
        """The reward, as an earlier process has stored it or as it is given now."""
        store, job_id = self._shelf.store, self._pupil.job_id
        uri = reward_path(job_id, rollout.rollout_id, self._scoring.version)
        try:
            reward = await asyncio.to_thread(store.get_reward, uri)
        except RolloutCorrupt:
            reward = await self._scoring.score(rollout, task)
        file = await asyncio.to_thread(store.put_reward, reward, job_id, answer_hash=rollout.answer_hash)
        return reward, file


def _reason(run: Run) -> str:
    if run.status is RunStatus.INCOMPLETE:
        return run.incomplete_reason or "incomplete"
    return "cancelled" if run.status is RunStatus.CANCELLED else "run_failed"


def _facts(rollout: Rollout, reward: Reward) -> Facts:
    agents = tuple(
        AgentFacts(
            role=agent.role,
            turns=len(agent.turns),
            tokens=sum(len(turn.sampled_token_ids) for turn in agent.turns),
            truncated=agent.status in LIMITS,
        )
        for agent in rollout.agents
    )
    masked = dict(masked_tokens(rollout, reward.masks))
    return Facts(agents=agents, masked_tokens=masked, seconds=max(0.0, rollout.finished_at - rollout.started_at))
