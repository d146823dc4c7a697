"""Groups: the rollouts of one task under one policy version, and the names by which they are found again."""

import hashlib

from pydantic import Field

from services.kit.rollouts.entry import StoredReward, StoredRollout
from services.trainer.collect.source import Kind
from services.trainer.config import AdvantageConfig, SamplingConfig
from services.trainer.objective.advantages import step_advantages
from services.trainer.objective.batch import RolloutShape
from wideseek.rollout import Reward, TurnMask
from wideseek.trajectory import Role
from wideseek.values import Frozen

_SEEDS = 2**31


class AgentFacts(Frozen):
    """One agent of a rollout, for the metrics."""

    role: Role
    turns: int
    tokens: int
    """Sampled tokens."""
    truncated: bool
    """Whether it ran into a limit."""


class Facts(Frozen):
    """A rollout, as far as the metrics depend on it and its index entry does not say."""

    agents: tuple[AgentFacts, ...] = ()
    masked_tokens: dict[str, int] = Field(default_factory=dict)
    """Sampled tokens that are not trained on, by reason."""
    seconds: float = 0.0


class CollectedRollout(Frozen):
    """A rollout with its reward, ready to be trained on."""

    stored: StoredRollout
    reward: Reward
    reward_file: StoredReward
    shape: RolloutShape
    masks: tuple[TurnMask, ...] = ()
    facts: Facts = Facts()


class OpenGroup(Frozen):
    """A group that has been asked for; written down before its first rollout is."""

    lineage: int = Field(ge=0)
    number: int = Field(ge=0)
    task_id: str
    kind: Kind
    draw: int = Field(ge=0)
    """Number of the draw that named the task."""
    retry: int = Field(default=0, ge=0)
    """How often groups of this draw were dropped before."""
    version: int = Field(ge=0)
    """Policy version that samples every rollout of the group."""
    made_at: int = Field(ge=0)
    """Step that made this version; 0 for the one the job started from."""

    @property
    def group_id(self) -> str:
        """`g<lineage>-<number>`."""
        return f"g{self.lineage}-{self.number}"


class CollectedGroup(Frozen):
    """A complete group."""

    group_id: str
    task_id: str
    kind: Kind
    version: int
    staleness: int = Field(default=0, ge=0)
    """Steps its policy is behind the step it was taken for."""
    rollouts: tuple[CollectedRollout, ...]
    """In the order of their indices."""

    @property
    def zero_variance(self) -> bool:
        """Whether all rewards are equal."""
        return len({rollout.reward.total for rollout in self.rollouts}) == 1

    def teaches(self, config: AdvantageConfig) -> bool:
        """Whether any rollout, or any role where roles have rewards of their own, has an advantage over the others."""
        return any(step_advantages([rollout.shape for rollout in self.rollouts], config).values())


def run_key(job_id: str, group_id: str, index: int, attempt: int) -> str:
    """The `Idempotency-Key` of a rollout's run: whoever asks for the rollout again gets the run there is."""
    digest = hashlib.sha256("\n".join((job_id, group_id, str(index), str(attempt))).encode()).hexdigest()
    return f"train-{digest}"


def sampling_of(sampling: SamplingConfig, name: str, index: int, attempt: int) -> dict[str, float | int]:
    """The sampling of one run, with a seed of its own only where the job sets one."""
    # Not by default: all subagents of a run share its seed, and vLLM on a CPU may die of a seeded request.
    drawn = sampling.model_dump(exclude={"seed"})
    return drawn if sampling.seed is None else {**drawn, "seed": seed_of(sampling.seed, name, index, attempt)}


def seed_of(seed: int, group_id: str, index: int, attempt: int) -> int:
    """The sampling seed of a rollout: its own, below 2**31."""
    digest = hashlib.sha256("\n".join((str(seed), group_id, str(index), str(attempt))).encode()).digest()
    return int.from_bytes(digest[:8], "big") % _SEEDS
