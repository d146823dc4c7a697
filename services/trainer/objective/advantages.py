"""Group advantages: one number a rollout (or a rollout and role), in double precision.

    m = mean of the group's rewards          s = sqrt(sum (R - m)^2 / (G - 1))
    grpo:  A = (R - m) / (s + epsilon)       mean (Dr.GRPO):  A = R - m
    rloo:  A = R - mean of the others' rewards = G / (G - 1) * (R - m)
    A = 0 exactly where all rewards of a group are equal, or G < 2

Sums are exact (`math.fsum`), so the order of rollouts changes no bit. Sources: WideSeek-R1 (arXiv:2602.04634),
Dr.GRPO (arXiv:2503.20783), RLOO (arXiv:2402.14740). In single precision the first formula turns eight equal
rewards of 0.97 into advantages of 0.1: the rounding of the mean is divided by about epsilon.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from services.trainer.config import AdvantageConfig
from services.trainer.objective.batch import AgentShape, RolloutShape
from wideseek.errors import ContractViolation
from wideseek.trajectory import Role

Advantages = dict[tuple[str, Role | None], float]
"""By rollout id and role; the role is None where all agents of a rollout share one advantage."""


def step_advantages(rollouts: Sequence[RolloutShape], config: AdvantageConfig) -> Advantages:
    """The advantage of every rollout, or of each of its roles, against its group.

    With `per_role` a group is made of a task and a role: a rollout counts once in it, with the role's reward (the
    rollout's own where the role has none), however many subagents it has; averaging over subagents would let wide
    rollouts weigh more in the baseline. Raises ContractViolation for a rollout given twice or a reward that is not
    a finite number.
    """
    cells: defaultdict[tuple[str, Role | None], list[tuple[str, float]]] = defaultdict(list)
    for rollout in _checked(rollouts):
        for role in _roles(rollout, config):
            reward = rollout.reward if role is None else rollout.role_reward.get(role, rollout.reward)
            cells[rollout.group_id, role].append((rollout.rollout_id, reward))
    return {
        (rollout_id, role): advantage
        for (_, role), members in cells.items()
        for (rollout_id, _), advantage in zip(
            members, group_advantages([reward for _, reward in members], config), strict=True
        )
    }


def group_advantages(rewards: Sequence[float], config: AdvantageConfig) -> list[float]:
    """The advantages of one group, in the order of its rewards."""
    size = len(rewards)
    if size < 2 or all(reward == rewards[0] for reward in rewards):
        return [0.0] * size
    mean = math.fsum(rewards) / size
    apart = [reward - mean for reward in rewards]
    if config.estimator == "mean":
        return apart
    if config.estimator == "rloo":
        return [size / (size - 1) * one for one in apart]
    deviation = math.hypot(*sorted(apart)) / math.sqrt(size - 1)
    return [one / (deviation + config.epsilon) for one in apart]


def advantage_of(advantages: Mapping[tuple[str, Role | None], float], rollout_id: str, role: Role) -> float:
    """The advantage of an agent's tokens: its role's, or its rollout's where roles share one.

    Raises KeyError for a rollout that no advantage was computed for.
    """
    own = advantages.get((rollout_id, role))
    return advantages[rollout_id, None] if own is None else own


def own_advantage(advantages: Mapping[tuple[str, Role | None], float], rollout_id: str, agent: AgentShape) -> float:
    """`advantage_of` an agent; of a `blamed` one min(A, 0): what went well, went well without it.

    Raises KeyError as `advantage_of` does.
    """
    advantage = advantage_of(advantages, rollout_id, agent.role)
    return min(advantage, 0.0) if agent.blamed else advantage


def _roles(rollout: RolloutShape, config: AdvantageConfig) -> list[Role | None]:
    return [*sorted({agent.role for agent in rollout.agents})] if config.per_role else [None]


def _checked(rollouts: Sequence[RolloutShape]) -> Sequence[RolloutShape]:
    seen: set[str] = set()
    for rollout in rollouts:
        if rollout.rollout_id in seen:
            raise ContractViolation(f"rollout {rollout.rollout_id} is given twice in one step")
        seen.add(rollout.rollout_id)
        rewards = (rollout.reward, *rollout.role_reward.values())
        if not all(math.isfinite(reward) for reward in rewards):
            raise ContractViolation(f"rollout {rollout.rollout_id} has a reward that is not a finite number")
    return rollouts
