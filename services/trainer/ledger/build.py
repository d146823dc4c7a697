"""From collected groups to the manifest of a step: a pure function, so that the same groups give the same bytes.

groups by the order in which they were opened, rollouts by their index
group number i of n opens minibatch floor(i M / P)      P groups planned, M minibatches; a group is never cut
weights of a minibatch: B_m = G * (groups planned for it), as a step of its own
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.trainer.collect.groups import CollectedGroup, CollectedRollout
from services.trainer.config import JobConfig
from services.trainer.ledger.manifest import AgentShare, Dropped, Entry, Manifest
from services.trainer.ledger.rate import learning_rate
from services.trainer.ledger.seeds import step_seed
from services.trainer.objective.advantages import Advantages, own_advantage, step_advantages
from services.trainer.objective.batch import RolloutShape
from services.trainer.objective.weights import Weights, token_weights
from wideseek.errors import ContractViolation


@dataclass(frozen=True)
class Place:
    """Where in a job's ledger a manifest goes."""

    job_id: str
    lineage: int
    step: int
    prev_sha256: str
    policy_version: int
    """Version of the policy that the step starts from."""
    created_at: float
    code_version: str


def step_manifest(
    place: Place, config: JobConfig, groups: Sequence[CollectedGroup], *, dropped: Sequence[Dropped], cursor: str
) -> Manifest:
    """The manifest of a step made of `groups`, in whatever order they are given.

    Raises `ContractViolation` for more groups, or more rollouts in one, than the configuration plans.
    """
    ordered = sorted(groups, key=lambda group: _natural(group.group_id))
    _check(ordered, config)
    shares = [_minibatch(index, config) for index in range(len(ordered))]
    advantages = step_advantages([one.shape for group in ordered for one in group.rollouts], config.objective.advantage)
    weights = _weights(ordered, shares, config)
    entries = [
        _entry(rollout, group, minibatch, advantages, weights)
        for group, minibatch in zip(ordered, shares, strict=True)
        for rollout in sorted(group.rollouts, key=_order)
    ]
    return manifest_of(place, config, entries, planned=config.planned, dropped=dropped, cursor=cursor)


def manifest_of(
    place: Place,
    config: JobConfig,
    entries: Sequence[Entry],
    *,
    planned: int,
    dropped: Sequence[Dropped] = (),
    cursor: str = "0-0",
) -> Manifest:
    """A manifest of these entries, with the seed and the learning rate of its step."""
    return Manifest(
        job_id=place.job_id,
        lineage=place.lineage,
        step=place.step,
        prev_sha256=place.prev_sha256,
        created_at=place.created_at,
        seed=step_seed(config.seed, place.lineage, place.step),
        config_sha256=config.sha256,
        code_version=place.code_version,
        policy_version=place.policy_version,
        planned=planned,
        learning_rate=learning_rate(place.step, steps=config.steps, optim=config.optim),
        entries=tuple(entries),
        dropped=tuple(sorted(dropped, key=lambda drop: drop.rollout_id)),
        cursor=cursor,
    )


def _minibatch(index: int, config: JobConfig) -> int:
    return index * config.optim.minibatches // config.rollouts.groups_per_step


def _weights(groups: Sequence[CollectedGroup], shares: Sequence[int], config: JobConfig) -> Weights:
    """Each minibatch is weighed by itself, against what was planned for it."""
    planned = [_minibatch(index, config) for index in range(config.rollouts.groups_per_step)]
    weights: Weights = {}
    for minibatch in sorted(set(shares)):
        shapes: list[RolloutShape] = [
            rollout.shape
            for group, own in zip(groups, shares, strict=True)
            if own == minibatch
            for rollout in group.rollouts
        ]
        size = planned.count(minibatch) * config.rollouts.group_size
        weights.update(token_weights(shapes, config.objective.weights, size))
    return weights


def _entry(
    rollout: CollectedRollout, group: CollectedGroup, minibatch: int, advantages: Advantages, weights: Weights
) -> Entry:
    stored, shape = rollout.stored, rollout.shape
    return Entry(
        rollout_id=stored.rollout_id,
        uri=stored.uri,
        sha256=stored.sha256,
        reward_uri=rollout.reward_file.uri,
        reward_sha256=rollout.reward_file.sha256,
        group_id=group.group_id,
        index_in_group=stored.index_in_group,
        task_id=group.task_id,
        reward=rollout.reward.total,
        version_min=stored.version_min,
        version_max=stored.version_max,
        masked=rollout.masks,
        agents=agent_shares(shape, weights, advantages),
        minibatch=minibatch,
    )


def agent_shares(shape: RolloutShape, weights: Weights, advantages: Advantages) -> tuple[AgentShare, ...]:
    """What each agent of a rollout contributes to the loss."""
    return tuple(
        AgentShare(
            agent_id=agent.agent_id,
            role=agent.role,
            trained_tokens=agent.trained_tokens,
            weight=weights[shape.rollout_id, agent.agent_id],
            advantage=own_advantage(advantages, shape.rollout_id, agent),
        )
        for agent in shape.agents
    )


def _check(groups: Sequence[CollectedGroup], config: JobConfig) -> None:
    if len(groups) > config.rollouts.groups_per_step:
        raise ContractViolation(f"{len(groups)} groups for a step of {config.rollouts.groups_per_step}")
    names = [rollout.stored.rollout_id for group in groups for rollout in group.rollouts]
    if len(set(names)) < len(names):
        raise ContractViolation("a rollout was collected twice for one step")
    for group in groups:
        if len(group.rollouts) > config.rollouts.group_size:
            raise ContractViolation(f"group {group.group_id} has {len(group.rollouts)} rollouts")
        if any(rollout.shape.group_id != group.group_id for rollout in group.rollouts):
            raise ContractViolation(f"group {group.group_id} holds a rollout of another group")


def _order(rollout: CollectedRollout) -> tuple[int, str]:
    return rollout.stored.index_in_group, rollout.stored.rollout_id


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """Digits count as numbers, so that `g0-9` comes before `g0-10`."""
    runs: list[str] = []
    for letter in name:
        if runs and runs[-1][-1].isdigit() == letter.isdigit():
            runs[-1] += letter
        else:
            runs.append(letter)
    return tuple((int(run), "") if run.isdecimal() else (-1, run) for run in runs)
