"""What the objective needs to know of a step's rollouts: rewards, groups, and trained tokens by agent."""

from collections.abc import Mapping

from pydantic import Field

from wideseek.trajectory import Role
from wideseek.values import Frozen


class AgentShape(Frozen):
    """One agent of a rollout, as far as its weight depends on it."""

    agent_id: str
    role: Role
    trained_tokens: int = Field(ge=0)
    """L: sampled tokens of all its turns that are trained on."""
    counted: bool = False
    """Whether it keeps its place in N although nothing of it is trained on (`failed_subagent: count`)."""
    blamed: bool = False
    """Whether a positive advantage is not its own: it ran into a limit (`failed_subagent: blame`)."""
    stands_for: float = Field(default=1.0, ge=1)
    """Agents it counts: itself and those that were not drawn beside it (`subagents`)."""


class RolloutShape(Frozen):
    """One rollout, as far as advantages and weights depend on it."""

    rollout_id: str
    group_id: str
    reward: float
    role_reward: Mapping[Role, float] = Field(default_factory=dict)
    """Rewards of roles that have one of their own."""
    agents: tuple[AgentShape, ...]
