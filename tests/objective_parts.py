"""Shapes, records and tensors of rollouts for the tests of the objective."""

import random
from collections.abc import Sequence

import torch

from services.trainer.config import PolicyLossConfig
from services.trainer.objective.batch import AgentShape, RolloutShape
from services.trainer.objective.losses import TokenLoss
from wideseek.rollout import (
    AgentRecord,
    AgentStatus,
    Rollout,
    RolloutSource,
    RolloutStatus,
    SamplingRecord,
    TurnRecord,
    WeightSpan,
)
from wideseek.trajectory import Role

PLAIN = PolicyLossConfig(correction="none")
"""The reference surrogate."""


def shaped(
    name: str, group: str, reward: float, *tokens: int, counted: Sequence[int] = (), blamed: Sequence[int] = ()
) -> RolloutShape:
    """A rollout whose first agent is the lead; one number of trained tokens an agent."""
    agents = tuple(
        AgentShape(
            agent_id=f"a{place}",
            role=Role.SUBAGENT if place else Role.LEAD,
            trained_tokens=count,
            counted=place in counted,
            blamed=place in blamed,
        )
        for place, count in enumerate(tokens)
    )
    return RolloutShape(rollout_id=name, group_id=group, reward=reward, agents=agents)


def batch(seed: int, *, groups: int = 3, size: int = 4) -> list[RolloutShape]:
    """Random rollouts: one to six agents, one to forty tokens each."""
    dice = random.Random(seed)
    return [
        shaped(f"{group}/{place}", str(group), dice.random(), *(dice.randint(1, 40) for _ in range(dice.randint(1, 6))))
        for group in range(groups)
        for place in range(size)
    ]


def turn(index: int, prompt: Sequence[int], sampled: Sequence[int], *, trainable: bool = True) -> TurnRecord:
    """A turn whose token at place k was sampled with log-probability -(k + 1) / 8."""
    return TurnRecord(
        turn_index=index,
        model_name="policy@v1",
        prompt_token_ids=tuple(prompt),
        sampled_token_ids=tuple(sampled),
        sampled_logprobs=tuple(-(place + 1) / 8 for place in range(len(sampled))),
        weight_version_spans=(WeightSpan(version=1, start=0, end=len(sampled)),),
        sampling=SamplingRecord(max_tokens=100),
        finish_reason="stop",
        trainable=trainable,
        mask_reason="" if trainable else "tokens are not exact",
    )


def agent(
    name: str, *turns: TurnRecord, role: Role = Role.SUBAGENT, status: AgentStatus = AgentStatus.ANSWERED
) -> AgentRecord:
    return AgentRecord(agent_id=name, role=role, subtask="find it", status=status, turns=turns)


def rollout(
    *agents: AgentRecord,
    source: RolloutSource = RolloutSource.POLICY,
    status: RolloutStatus = RolloutStatus.OK,
) -> Rollout:
    versions = {1} if any(one.turns for one in agents) else {0}
    return Rollout(
        schema_version=1,
        run_id="run",
        rollout_id="ro_1",
        task_hash="t",
        source=source,
        status=status,
        started_at=0,
        finished_at=1,
        query="what?",
        answer_text="that",
        answer_hash="h",
        policy_version_min=min(versions),
        policy_version_max=max(versions),
        agents=agents,
    )


def numbers(*values: float) -> torch.Tensor:
    """In double precision, without a gradient."""
    return torch.tensor(values, dtype=torch.float64)


def variables(*values: float) -> torch.Tensor:
    """In double precision, with a gradient."""
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def gradient(loss: TokenLoss, of: torch.Tensor) -> torch.Tensor:
    """The gradient of the weighted sum."""
    (found,) = torch.autograd.grad(loss.total, of)
    return found


def drawn(seed: int, tokens: int, *, spread: float = 1.0) -> torch.Tensor:
    """Log-probability-like numbers."""
    source = torch.Generator().manual_seed(seed)
    return -torch.rand(tokens, generator=source, dtype=torch.float64) * spread
